//! Waits for a while, or until a moment.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::flow::engine::Input;
use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::{Wait, WaitFor};
use crate::flow::validation::Report;
use crate::flow::{local_time, typed};
use crate::reason;

/// `{"seconds": 3600}`, `{"until": "09:00"}` or `{"untilVariable": "appointment.start"}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Delay {
    /// How long.
    pub seconds: Option<u32>,
    /// The next time the clock of the account shows this.
    pub until: Option<String>,
    /// A variable that holds a moment (RFC 3339) or a day; one that is past does not hold the run up.
    pub until_variable: Option<String>,
}

impl Delay {
    fn until(&self, step: &mut Step<'_>) -> DateTime<Utc> {
        let now = step.env().now;
        let timezone = step.env().timezone;
        if let Some(path) = given(self.until_variable.as_deref()) {
            let value = step.lookup(path).unwrap_or_default();
            let Some(moment) = value.as_str().and_then(|text| typed::moment(text, timezone)) else {
                step.warn(format!("`{path}` is not a moment to wait for"));
                return now;
            };
            return moment.max(now);
        }
        if let Some(time) = given(self.until.as_deref()).and_then(typed::time) {
            return local_time::next(time, now, timezone);
        }
        now + TimeDelta::seconds(self.seconds.unwrap_or(0).into())
    }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

impl NodeKind for Delay {
    fn exits(&self) -> Vec<String> {
        vec!["next".to_owned()]
    }

    fn check(&self, report: &mut Report<'_>) {
        let (until, variable) = (given(self.until.as_deref()), given(self.until_variable.as_deref()));
        if self.seconds.is_none() && until.is_none() && variable.is_none() {
            report.problem("seconds", reason!("delay_missing", "one of `seconds`, `until` and `untilVariable` is needed"));
        }
        if until.is_some_and(|text| typed::time(text).is_none()) {
            report.problem("until", reason!("not_a_time_of_day", "is not a time of day (HH:MM)"));
        }
    }

    fn waits(&self) -> bool {
        true
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        let until = self.until(step);
        Next::Wait(Wait { wait_for: WaitFor::Time, until: Some(until), refused: 0 })
    }

    fn resume(&self, step: &mut Step<'_>, input: &Input<'_>) -> Next {
        match input {
            Input::Timeout => Next::exit("next"),
            Input::Reply(_) | Input::Start | Input::Delivery(_) => step.keep_waiting(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::flow::nodes::testing;

    fn until(data: Value) -> String {
        let mut run = testing::run();
        run.variables =
            json!({"start": "2026-01-12T09:00:00+02:00", "day": "2026-01-12", "past": "2020-01-01", "word": "soon"})
                .as_object()
                .cloned()
                .unwrap();
        match testing::outcome(&testing::node::<Delay>(data), &run, None).0 {
            Next::Wait(Wait { until: Some(until), .. }) => until.to_rfc3339(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_waits_until_the_moment_its_author_means() {
        let now = "2026-01-10T14:00:00+00:00";
        for (data, expected) in [
            (json!({"seconds": 90}), "2026-01-10T14:01:30+00:00"),
            (json!({"until": "09:00"}), "2026-01-11T07:00:00+00:00"),
            (json!({"until": "18:30"}), "2026-01-10T16:30:00+00:00"),
            (json!({"untilVariable": "start"}), "2026-01-12T07:00:00+00:00"),
            (json!({"untilVariable": "day"}), "2026-01-11T22:00:00+00:00"),
            (json!({"untilVariable": "past"}), now),
            (json!({"untilVariable": "word"}), now),
            (json!({"seconds": 0}), now),
        ] {
            assert_eq!(until(data.clone()), expected, "{data}");
        }
    }

    #[test]
    fn it_is_checked() {
        let wrong = |data| testing::wrong_fields(&testing::node::<Delay>(data));
        assert_eq!(wrong(json!({})), ["seconds"]);
        assert_eq!(wrong(json!({"until": "25:00"})), ["until"]);
        assert!(wrong(json!({"untilVariable": "a"})).is_empty());
    }
}

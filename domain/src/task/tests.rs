//! The rules of tasks.

use super::*;

fn id(number: u128) -> UserId {
    UserId(uuid::Uuid::from_u128(number))
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn task() -> Task {
    Task { title: "Call Dana".into(), team: Some("sales".into()), ..Task::default() }
}

fn change(change: TaskChange) -> Result<Task, TaskError> {
    task().changed(change, id(1), at(0))
}

#[test]
fn absent_parts_stay_and_null_ones_go() {
    assert_eq!(change(TaskChange::default()), Ok(task()));
    let assigned = change(TaskChange { assignee: Some(Some(id(2))), team: Some(None), ..TaskChange::default() });
    assert_eq!(assigned, Ok(Task { assignee: Some(id(2)), team: None, ..task() }));
    assert_eq!(task().differences(&assigned.unwrap()), ["assigneeId", "team"]);
    assert_eq!(task().differences(&task()), [] as [&str; 0]);
}

#[test]
fn who_completes_it_first_did_it() {
    let done = TaskChange { status: Some(TaskStatus::Completed), ..TaskChange::default() };
    let completed = change(done.clone()).unwrap();
    assert_eq!(completed.completed, Some(Completion { by: id(1), at: at(0) }));
    assert_eq!(completed.changed(done, id(2), at(9)), Ok(completed.clone()));
    let reopened = TaskChange { status: Some(TaskStatus::Open), ..TaskChange::default() };
    assert_eq!(completed.changed(reopened, id(2), at(9)), Ok(task()));
    assert_eq!((task().status(), completed.status()), (TaskStatus::Open, TaskStatus::Completed));
}

#[test]
fn bounds_are_kept() {
    let title = |title: String| change(TaskChange { title: Some(title), ..TaskChange::default() });
    assert_eq!(title(" ".into()), Err(TaskError::Title));
    assert_eq!(title("א".repeat(TITLE_MAX + 1)), Err(TaskError::Title));
    assert!(title("א".repeat(TITLE_MAX)).is_ok());
    let notes = TaskChange { notes: Some(Some("x".repeat(NOTES_MAX + 1))), ..TaskChange::default() };
    assert_eq!(change(notes), Err(TaskError::Notes));
    for team in ["", " sales", &"x".repeat(TEAM_MAX + 1)] {
        let team = TaskChange { team: Some(Some(team.to_owned())), ..TaskChange::default() };
        assert_eq!(change(team), Err(TaskError::Team));
    }
    assert_eq!(check_comment("\n ", 0), Err(TaskError::Comment));
    assert_eq!(check_comment(&"x".repeat(COMMENT_MAX + 1), 0), Err(TaskError::Comment));
    assert_eq!(check_comment("done", COMMENTS_MAX), Err(TaskError::Comments));
    assert_eq!(check_comment("done", COMMENTS_MAX - 1), Ok(()));
}

#[test]
fn whoever_made_it_deletes_it() {
    assert_eq!(check_deletion(id(1), id(1), false), Ok(()));
    assert_eq!(check_deletion(id(2), id(1), true), Ok(()));
    assert_eq!(check_deletion(id(2), id(1), false), Err(TaskError::NotTheirs));
}

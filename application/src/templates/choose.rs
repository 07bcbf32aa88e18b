//! Choosing the template a message goes out with: what is asked for, as it stands on the line's business account.

use std::sync::Arc;

use domain::conversation::template_choice::{Draw, TemplateChoice, TemplateWanted};
use domain::shared::ids::{StreamId, TemplateGroupId, TemplateId, TenantId};
use domain::template::category::Category;
use domain::template::sending::{Unsendable, sendable};
use domain::template_group::command::TemplateGroupCommand;
use domain::template_group::event::TemplateGroupEvent;
use domain::template_group::pick_strategy::{Candidate, Considered, PickStrategy, picks};
use domain::template_group::{Member, OpenGroup, TemplateGroup};

use crate::actor::Cause;
use crate::commands::{Along, Commands};
use crate::conversations::ports::LineFacts;
use crate::error::{AppError, AppResult};
use crate::templates::ports::TemplateReader;
use crate::templates::views::TemplateDocument;
use crate::time::{Clock, NewId};

/// What the language is taken for when neither the caller nor the account's templates say one.
const LANGUAGE_DEFAULT: &str = "en";

/// Chooses templates.
pub struct TemplateChooser {
    /// The account's templates.
    pub templates: Arc<dyn TemplateReader>,
    /// Its groups, which take turns.
    pub groups: Arc<dyn Commands<TemplateGroup>>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub ids: Arc<dyn NewId>,
}

/// What templates are chosen for.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// The line they go out on.
    pub line: &'a LineFacts,
    /// Who wants it, and why.
    pub cause: &'a Cause,
    /// What names it in the group's history, such as a message's id.
    pub subject: &'a str,
    /// Whether templates of the category MARKETING may be taken.
    pub marketing: bool,
}

impl TemplateChooser {
    /// The choice for one message.
    ///
    /// # Errors
    /// The templates cannot be read.
    pub async fn choose(&self, occasion: Occasion<'_>, wanted: &TemplateWanted) -> AppResult<TemplateChoice> {
        let mut choices = self.choose_many(occasion, wanted, 1).await?;
        choices.pop().ok_or_else(|| AppError::internal("nothing was chosen"))
    }

    /// The choices for as many messages, one after the other.
    ///
    /// # Errors
    /// The templates cannot be read.
    pub async fn choose_many(
        &self,
        occasion: Occasion<'_>,
        wanted: &TemplateWanted,
        count: u32,
    ) -> AppResult<Vec<TemplateChoice>> {
        let Some(id) = wanted.group_id else {
            let (member, unsendable) = self.single(occasion.line, wanted, occasion.marketing).await?;
            let chosen = unsendable.is_none().then(|| member.clone());
            let considered = vec![Considered { member, passed_over: unsendable }];
            let choice = TemplateChoice { wanted: wanted.clone(), draw: None, considered, chosen };
            return Ok(vec![choice; count as usize]);
        };
        let stream = StreamId::new(occasion.line.tenant, id.0);
        let group = self.groups.load(&stream).await?;
        let Some(group) = group.open() else { return Ok(vec![nothing(wanted); count as usize]) };
        let candidates = self.candidates(occasion.line, group, wanted, occasion.marketing).await?;
        let (turn, seed) = self.draw(&stream, occasion, group, &candidates, count).await?;
        let strategy = group.strategy;
        let picked = picks(strategy, turn, seed, &candidates).take(count as usize);
        let choices = picked.map(|((turn, seed), pick)| TemplateChoice {
            wanted: wanted.clone(),
            draw: Some(Draw { strategy, turn, seed }),
            considered: pick.considered,
            chosen: pick.chosen,
        });
        Ok(choices.collect())
    }

    /// What a group has instead of templates that were refused for a message. Nobody's turn is used up.
    ///
    /// # Errors
    /// The templates cannot be read.
    pub async fn after_refusals(
        &self,
        line: &LineFacts,
        group_id: TemplateGroupId,
        wanted: TemplateWanted,
        refusals: &[(Member, i64)],
    ) -> AppResult<TemplateChoice> {
        let group = self.groups.load(&StreamId::new(line.tenant, group_id.0)).await?;
        let Some(group) = group.open() else { return Ok(nothing(&wanted)) };
        let mut candidates = self.candidates(line, group, &wanted, true).await?;
        for candidate in &mut candidates {
            if let Some((_, code)) = refusals.iter().find(|(refused, _)| *refused == candidate.member) {
                candidate.unsendable = Some(Unsendable::RefusedBefore { code: *code });
            }
        }
        // On from the one that was refused last, around the group.
        let last = refusals.last().map(|(member, _)| member);
        let at = candidates.iter().position(|it| Some(&it.member) == last).map_or(0, |at| at + 1);
        let many = candidates.len().max(1);
        candidates.rotate_left(at % many);
        let pick = picks(PickStrategy::PreferredThenOthers, 0, 0, &candidates).next().map(|(_, pick)| pick);
        Ok(match pick {
            Some(pick) => TemplateChoice { wanted, draw: None, considered: pick.considered, chosen: pick.chosen },
            None => nothing(&wanted),
        })
    }

    /// What could be sent now: every template that is named, with what speaks against it. Nobody's turn is used up.
    ///
    /// # Errors
    /// The templates cannot be read.
    pub async fn look(&self, line: &LineFacts, wanted: &TemplateWanted, marketing: bool) -> AppResult<TemplateChoice> {
        let candidates = match wanted.group_id {
            None => {
                let (member, unsendable) = self.single(line, wanted, marketing).await?;
                vec![Candidate { member, unsendable }]
            }
            Some(id) => match self.groups.load(&StreamId::new(line.tenant, id.0)).await?.open() {
                Some(group) => self.candidates(line, group, wanted, marketing).await?,
                None => Vec::new(),
            },
        };
        let chosen = candidates.iter().find(|it| it.unsendable.is_none()).map(|it| it.member.clone());
        let each = |it: Candidate| Considered { member: it.member, passed_over: it.unsendable };
        let considered = candidates.into_iter().map(each).collect();
        Ok(TemplateChoice { wanted: wanted.clone(), draw: None, considered, chosen })
    }

    /// The line a group is pinned to.
    ///
    /// # Errors
    /// The group cannot be read.
    pub async fn pinned_line(&self, tenant: TenantId, wanted: &TemplateWanted) -> AppResult<Option<String>> {
        let Some(id) = wanted.group_id else { return Ok(None) };
        let group = self.groups.load(&StreamId::new(tenant, id.0)).await?;
        Ok(group.open().and_then(|group| group.phone_number_id.clone()))
    }

    /// Whether what somebody names is there at all.
    ///
    /// # Errors
    /// It is not.
    pub async fn check(&self, line: &LineFacts, wanted: &TemplateWanted) -> AppResult<()> {
        let found = if let Some(id) = wanted.group_id {
            self.groups.load(&StreamId::new(line.tenant, id.0)).await?.open().is_some()
        } else if let Some(id) = wanted.template_id {
            self.templates.get(line.tenant, id).await?.is_some_and(|it| it.known().is_some())
        } else {
            true
        };
        found.then_some(()).ok_or(AppError::TemplateUnknown)
    }

    /// Whose turn it is, and what chance says. Where they take turns, the group keeps count in its own history.
    async fn draw(
        &self,
        stream: &StreamId,
        occasion: Occasion<'_>,
        group: &OpenGroup,
        candidates: &[Candidate],
        count: u32,
    ) -> AppResult<(u64, u64)> {
        let (_, seed) = self.ids.new_id().as_u64_pair();
        if group.strategy != PickStrategy::RoundRobin {
            return Ok((group.turn, seed));
        }
        let (subject, candidates, at) = (occasion.subject.to_owned(), candidates.to_vec(), self.clock.now());
        let command = TemplateGroupCommand::Pick { subject, count, seed, candidates, at };
        let cause = Cause { once: None, ..occasion.cause.clone() };
        let (_, events) = self.groups.tell(stream, &cause, command, Along::default()).await?;
        let picked = events.into_iter().find_map(|event| match event {
            TemplateGroupEvent::Picked { turn, seed, .. } => Some((turn, seed)),
            _ => None,
        });
        picked.ok_or_else(|| AppError::internal("nothing was picked"))
    }

    /// The group's templates in the language asked for, when it has some; else all of them.
    async fn candidates(
        &self,
        line: &LineFacts,
        group: &OpenGroup,
        wanted: &TemplateWanted,
        marketing: bool,
    ) -> AppResult<Vec<Candidate>> {
        let speaks = |member: &&Member| member.language == wanted.language;
        let in_language: Vec<&Member> = group.members.iter().filter(speaks).collect();
        let members = if in_language.is_empty() { group.members.iter().collect() } else { in_language };
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let known = self.templates.named(line.tenant, &names).await?;
        let candidate =
            |member: &Member| Candidate { member: member.clone(), unsendable: stands(&known, line, member, marketing) };
        Ok(members.into_iter().map(candidate).collect())
    }

    /// A template by its id or name. One we do not know goes out as it is asked for: Meta knows.
    async fn single(
        &self,
        line: &LineFacts,
        wanted: &TemplateWanted,
        marketing: bool,
    ) -> AppResult<(Member, Option<Unsendable>)> {
        if let Some(id) = wanted.template_id {
            let found = self.templates.get(line.tenant, id).await?;
            let Some(known) = found.as_ref().and_then(TemplateDocument::known) else {
                return Ok((unknown(id), Some(Unsendable::Unknown)));
            };
            let member = Member { name: known.name.clone(), language: known.language.clone() };
            let all = self.templates.named(line.tenant, &[member.name.as_str()]).await?;
            let unsendable = stands(&all, line, &member, marketing);
            return Ok((member, unsendable));
        }
        let all = self.templates.named(line.tenant, &[wanted.name.as_str()]).await?;
        let here =
            all.iter().filter_map(TemplateDocument::known).filter(|it| it.waba_id == line.waba_id && it.is_live());
        let language = match here.map(|it| it.language.as_str()).collect::<Vec<_>>()[..] {
            [only] if wanted.language.is_empty() => only.to_owned(),
            _ if wanted.language.is_empty() => LANGUAGE_DEFAULT.to_owned(),
            _ => wanted.language.clone(),
        };
        let member = Member { name: wanted.name.clone(), language };
        let unsendable = stands(&all, line, &member, marketing).filter(|reason| *reason != Unsendable::Unknown);
        Ok((member, unsendable))
    }
}

/// Why a template may not be sent on the line's business account.
fn stands(known: &[TemplateDocument], line: &LineFacts, member: &Member, marketing: bool) -> Option<Unsendable> {
    let same = |it: &&TemplateDocument| {
        let named = |it: &domain::template::KnownTemplate| it.name == member.name && it.language == member.language;
        it.known().is_some_and(|it| it.waba_id == line.waba_id && named(it))
    };
    match known.iter().find(same) {
        Some(document) => match sendable(&document.template) {
            Ok(known) if !marketing && known.category == Some(Category::Marketing) => Some(Unsendable::Marketing),
            Ok(_) => None,
            Err(reason) => Some(reason),
        },
        None => Some(Unsendable::Unknown),
    }
}

fn nothing(wanted: &TemplateWanted) -> TemplateChoice {
    TemplateChoice { wanted: wanted.clone(), draw: None, considered: Vec::new(), chosen: None }
}

fn unknown(id: TemplateId) -> Member {
    Member { name: id.to_string(), language: String::new() }
}

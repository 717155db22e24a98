//! Changes of a lab that runs: carries a [`Diff`] out.

use std::cell::RefMut;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use futures_util::future::join_all;
use tokio::sync::MutexGuard;

use super::protocol::{Outcome, Snapshot, State};
use super::running::{Comes, Member, Running, follow};
use super::{chain, furnish, view};
use crate::diff::{Amiss, Change, Diff, Edit, diff};
use crate::faultpoint::{moment, point};
use crate::files;
use crate::kernel::mount;
use crate::kernel::net::Network;
use crate::lab::Name;
use crate::node::power::Door;
use crate::node::{Order, Power};
use crate::plan::{Part, Plan, Publish, Runs};
use crate::program::User;

/// Who changes the lab, in events.
const BY: &str = "nsplay up";

/// How a note begins of what was done; who asked for it knows already.
pub const DONE: &str = "changed by nsplay up: ";

/// What went wrong, by member.
type Failed = BTreeMap<Name, String>;

/// Why a change was not made at all.
pub(super) enum Untouched {
    /// The lab has become another since it was looked at.
    Stale,
    /// It cannot be made.
    Refused(String),
}

impl Running {
    /// What is amiss now.
    pub(super) fn amiss(&self) -> Amiss {
        let plan = self.plan();
        let members = self.0.members.borrow();
        let names = plan.lab.members().into_iter().cloned();
        let (present, absent) = names.partition(|name| members.contains_key(name));
        let mut stopped: Vec<Name> = present;
        stopped.retain(|name| !self.runs(name));
        Amiss { stopped, absent }
    }

    /// What the lab is, once no change is being made.
    pub(super) async fn snapshot(&self) -> Snapshot {
        let _network = self.0.network.lock().await;
        Snapshot {
            revision: self.0.revision.get(),
            plan: Plan::clone(&self.plan()),
            keys: self.0.keys.clone(),
            amiss: self.amiss(),
        }
    }

    /// Makes the lab as `new` says; `descriptors` are the sockets that it gains, then the mounts,
    /// in the order in which [`gained`] and [`furnish::gained`] name them.
    ///
    /// # Errors
    /// Why nothing was touched.
    pub(super) async fn change(
        &self,
        new: Plan,
        revision: u64,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Vec<Outcome>, Untouched> {
        let mut network = self.0.network.lock().await;
        if self.0.revision.get() != revision {
            return Err(Untouched::Stale);
        }
        let old = self.plan();
        let diff = diff(&old, &new, &self.amiss())
            .map_err(|refused| Untouched::Refused(refused.join("; ")))?;
        let starting: Vec<Name> = started(&diff).map(|edit| edit.member.clone()).collect();
        for name in &starting {
            self.can_start(&new, name, &starting)
                .map_err(Untouched::Refused)?;
        }
        let sockets = gained(&old, &new);
        let binds = furnish::gained(&old, &new, &diff);
        if let Err(error) = point!("change: compared") {
            return Err(Untouched::Refused(error.to_string()));
        }
        if descriptors.len() != sockets.len() + binds.len() {
            let message = "the descriptors of another plan have come".to_owned();
            return Err(Untouched::Refused(message));
        }
        let mut descriptors = descriptors.into_iter();
        let published = descriptors.by_ref().take(sockets.len());
        self.0.sockets.borrow_mut().add(sockets, published);

        let new = Rc::new(new);
        let mut failed = Failed::new();
        let was_on = self.take_away(&mut network, &old, &diff, &mut failed).await;
        moment!("change: what goes is gone");
        self.become_plan(&old, &new, &diff);
        moment!("change: plan taken");
        for (bind, tree) in binds.iter().zip(descriptors) {
            let at = bind.target.display();
            let put = mount::put(&tree, bind).and_then(|()| point!("change: {at} shown"));
            if let Err(error) = put {
                self.0
                    .host
                    .journal
                    .note(format!("cannot show {at}: {error}"));
            }
        }
        self.add(&mut network, &new, &diff, &mut failed).await;
        moment!("change: what comes is plugged in");
        for part in new.parts() {
            self.adjust(&old, &part);
        }
        moment!("change: the rest adjusted");
        let starts = started(&diff)
            .filter(|edit| !failed.contains_key(&edit.member))
            .map(|edit| async {
                let comes = comes(&old, &new, edit, was_on.get(&edit.member));
                let came = self.come(&edit.member, comes, BY.to_owned()).await;
                (edit.member.clone(), came)
            });
        for (name, came) in join_all(starts.collect::<Vec<_>>()).await {
            if let Err(why) = came {
                failed.insert(name, why);
            }
        }
        moment!("change: what comes is started");
        self.switch_power(&old, &new, &diff, &mut failed).await;
        self.0.sockets.borrow_mut().keep_only(&new.publish);
        moment!("change: done");
        Ok(self.tell(diff, failed))
    }

    /// Stops and removes what goes; returns which nodes were on.
    async fn take_away(
        &self,
        network: &mut MutexGuard<'_, Network>,
        old: &Plan,
        diff: &Diff,
        failed: &mut Failed,
    ) -> BTreeMap<Name, bool> {
        let mut was_on = BTreeMap::new();
        let going = diff
            .edits
            .iter()
            .filter(|edit| edit.change.unplugs() || edit.change == Change::Restart);
        let mut stops = Vec::new();
        for edit in going.clone() {
            if let Some(node) = self.0.servers.node(&edit.member) {
                was_on.insert(edit.member.clone(), node.power() == Power::On);
            }
            stops.push(async move { (edit, self.stop(&edit.member).await) });
        }
        for (edit, stopped) in join_all(stops).await {
            let Some(part) = old.part(&edit.member) else {
                continue;
            };
            let gone = match (stopped, edit.change.unplugs()) {
                (Err(why), _) => Err(why),
                (Ok(()), true) => self.unplug(network, &part).await,
                (Ok(()), false) => furnish::clear(&part),
            };
            if let Err(why) = gone {
                failed.insert(edit.member.clone(), why);
            }
            if edit.change == Change::Remove {
                self.0.stages.remove(&edit.member);
            }
        }
        was_on
    }

    /// From here on the lab is what `new` says, though not all of it is there yet.
    fn become_plan(&self, old: &Plan, new: &Rc<Plan>, diff: &Diff) {
        self.0.plan.replace(Rc::clone(new));
        self.0.host.confinement.become_lab(&new.lab);
        self.0.revision.set(self.0.revision.get() + 1);
        self.0.board.show(new);
        let journal = &self.0.host.journal;
        new.notes
            .iter()
            .filter(|note| !old.notes.contains(note))
            .for_each(|note| journal.note(note));
        if (&old.etc, &old.account) != (&new.etc, &new.account)
            && let Err(error) = furnish::names(new)
        {
            journal.note(format!("cannot write the lab's names: {error}"));
        }
        for edit in diff.edits.iter().filter(|edit| edit.change.furnishes()) {
            let mut nodes = new.lab.nodes.iter();
            if let Some(node) = nodes.find(|node| node.name == edit.member) {
                self.0.stages.add(node);
            }
        }
    }

    /// Plugs in what comes, and furnishes what is started anew.
    async fn add(
        &self,
        network: &mut MutexGuard<'_, Network>,
        new: &Plan,
        diff: &Diff,
        failed: &mut Failed,
    ) {
        if let Err(error) = network.carry_out(&diff.fabric).await {
            self.0.host.journal.note(chain(&error));
        }
        let attached = new.lab.networks().filter(|network| network.attach);
        for network in attached.filter(|network| diff.networks.contains(&network.name)) {
            if let Err(refusal) = self.0.ways.attach(&new.lab, Some(&network.name)) {
                self.0.host.journal.note(refusal.to_string());
            }
        }
        for edit in diff.edits.iter().filter(|edit| edit.change.furnishes()) {
            let Some(part) = new.part(&edit.member) else {
                continue;
            };
            if failed.contains_key(&edit.member) {
                continue;
            }
            let furnished = match edit.change.plugs() {
                true => self.plug_in(network, &part).await,
                false => self.show(&part),
            };
            if let Err(why) = furnished {
                failed.insert(edit.member.clone(), why);
                self.say_stopped(&edit.member, BY);
            }
        }
    }

    async fn plug_in(
        &self,
        network: &mut MutexGuard<'_, Network>,
        part: &Part<'_>,
    ) -> Result<(), String> {
        let steps: Vec<_> = part.steps.iter().map(|step| (*step).clone()).collect();
        if let Err(error) = network.carry_out(&steps).await {
            let _ = network.carry_out(&part.removal()).await;
            return Err(chain(&error));
        }
        let plugged = self.plug(part);
        plugged.map_err(|error| format!("cannot furnish `{}`: {error}", part.name))
    }

    /// Makes the views of a member that stays plugged in anew.
    fn show(&self, part: &Part<'_>) -> Result<(), String> {
        let Some(mut member) = self.member(part.name) else {
            return Err(format!("`{}` is not plugged in", part.name));
        };
        member.views.clear();
        for made in &part.views {
            view::make(made).map_err(|error| format!("cannot furnish `{}`: {error}", part.name))?;
            let life = follow(made, &self.0.host.journal);
            member.views.push(((*made).clone(), life));
        }
        Ok(())
    }

    fn member(&self, name: &Name) -> Option<RefMut<'_, Member>> {
        let members = self.0.members.borrow_mut();
        RefMut::filter_map(members, |members| members.get_mut(name)).ok()
    }

    /// Makes what is around a member's programs what `part` says; what is so already stays.
    fn adjust(&self, old: &Plan, part: &Part<'_>) {
        let Some(was) = old.part(part.name) else {
            return;
        };
        if let Some(mut member) = self.member(part.name) {
            let is_kept = |publish: &Publish| part.publish.contains(&publish);
            member.relays.retain(|(publish, _)| is_kept(publish));
            for publish in &part.publish {
                if !member.relays.iter().any(|(known, _)| known == *publish) {
                    member.relays.extend(self.relay(publish));
                }
            }
            for made in &part.views {
                let known = member
                    .views
                    .iter()
                    .position(|(known, _)| known.at == made.at);
                let Some(at) = known.filter(|at| member.views[*at].0 != **made) else {
                    continue;
                };
                let (before, life) = member.views.swap_remove(at);
                drop(life);
                view::clear(&before, made);
                if let Err(error) = view::make(made) {
                    let name = part.name;
                    let text = format!("cannot change what `{name}` serves: {error}");
                    self.0.host.journal.note(text);
                }
                let life = follow(made, &self.0.host.journal);
                member.views.push(((*made).clone(), life));
            }
        }
        match (was.runs, part.runs) {
            (Runs::Service(old), Runs::Service(new)) if old != new => {
                if let Err(error) = self.reread(part.name) {
                    let name = part.name;
                    let text = format!("cannot tell `{name}` of the change: {error}");
                    self.0.host.journal.note(text);
                }
            }
            (Runs::Node(old, _), Runs::Node(new, _)) => {
                let (old, new) = (&old.node.bmc.scenario, &new.node.bmc.scenario);
                let server = self.0.servers.get(part.name);
                if let (true, Some(server)) = (old != new, server) {
                    server.scenario.send_replace(new.clone());
                }
            }
            (Runs::Service(_), Runs::Service(_))
            | (Runs::Service(_), Runs::Node(..))
            | (Runs::Node(..), Runs::Service(_)) => {}
        }
    }

    /// Writes the files that a service reads again, and makes it do so.
    fn reread(&self, name: &Name) -> io::Result<()> {
        let plan = self.plan();
        let Some(Runs::Service(program)) = plan.part(name).map(|part| part.runs) else {
            return Ok(());
        };
        let user = match program.user {
            User::Root => None,
            User::Member => Some(plan.user(name)),
            User::Host(user) => Some(user),
        };
        let read = program.files.iter();
        for file in read.filter(|file| program.rereads.contains(&file.path)) {
            files::write_text(file, user)?;
            point!("change: {} written", file.path.display())?;
        }
        if let Some(started) = self
            .member(name)
            .as_ref()
            .and_then(|it| it.started.as_ref())
        {
            started.hold.reread.notify_one();
        }
        Ok(())
    }

    /// Switches the nodes whose `power` is another in the file, and which go on otherwise.
    async fn switch_power(&self, old: &Plan, new: &Plan, diff: &Diff, failed: &mut Failed) {
        for edit in &diff.edits {
            let power = |plan: &Plan| {
                let mut nodes = plan.lab.nodes.iter();
                let node = nodes.find(|node| node.name == edit.member)?;
                Some((node.power_on, node.after.clone()))
            };
            let (Some((was, _)), Some((is, after))) = (power(old), power(new)) else {
                continue;
            };
            let node = self.0.servers.node(&edit.member);
            let (Change::Adjust, true, Some(node)) = (edit.change, was != is, node) else {
                continue;
            };
            node.chassis().borrow_mut().usually(is);
            let order = match is {
                true => Order::On,
                false => Order::Off,
            };
            if is {
                self.0.gate.wait_for(&after, &self.0.stages).await;
            }
            if let Err(why) = node.carry_out(order, Door::Lab).await {
                failed.insert(edit.member.clone(), why);
            }
        }
    }

    /// Writes down what was done, and what was not.
    fn tell(&self, diff: Diff, mut failed: Failed) -> Vec<Outcome> {
        let outcomes: Vec<Outcome> = diff
            .edits
            .into_iter()
            .map(|edit| Outcome {
                failed: failed.remove(&edit.member),
                edit,
            })
            .collect();
        for Outcome { edit, failed } in &outcomes {
            let text = match failed {
                None => format!("{DONE}{edit}"),
                Some(why) => format!("not changed as {BY} says: {edit}: {why}"),
            };
            self.0.host.journal.note(text);
        }
        outcomes
    }

    /// Whether a member's programs run, as far as it is for nsplay to keep them running.
    pub(super) fn runs(&self, name: &Name) -> bool {
        let members = self.0.board.members();
        let mut of_name = members.iter().filter(|member| member.name == *name);
        !of_name.any(|member| matches!(member.state, State::Stopped | State::Ended))
    }
}

fn started(diff: &Diff) -> impl Iterator<Item = &Edit> {
    diff.edits.iter().filter(|edit| edit.change.starts())
}

/// Whether a node is switched on: one that was there before is as it was, unless the file says
/// otherwise now.
fn comes(old: &Plan, new: &Plan, edit: &Edit, was_on: Option<&bool>) -> Comes {
    let usually = |plan: &Plan| {
        let mut nodes = plan.lab.nodes.iter();
        let node = nodes.find(|node| node.name == edit.member);
        node.map(|node| node.power_on)
    };
    match was_on {
        Some(true) if usually(old) == usually(new) => Comes::On,
        Some(false) if usually(old) == usually(new) => Comes::Off,
        _ => Comes::AsTheLabSays,
    }
}

/// What the host can reach in `new` by sockets that `old` does not have.
#[must_use]
pub fn gained<'p>(old: &Plan, new: &'p Plan) -> Vec<&'p Publish> {
    let has = |publish: &Publish| old.publish.iter().any(|it| it.socket() == publish.socket());
    let publish = new.publish.iter();
    publish.filter(|publish| !has(publish)).collect()
}

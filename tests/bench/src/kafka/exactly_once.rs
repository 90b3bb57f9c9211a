//! A worker through a topic of payments to its end, exactly once, in turns with a copier.

use anyhow::ensure;
use payments_generator::Account;
use trifold_stream::kafka::Purpose;

use crate::kafka::child::{Task, done};
use crate::kafka::clients::{create_topic, produce, read};
use crate::kafka::copier::{Copied, Copy};
use crate::kafka::payments::payments;
use crate::kafka::worker::Worked;
use crate::kafka::{Site, TOPIC};
use crate::measure::{Effort, median};

const TURNS: usize = 3;

/// A topic of payments, which a first worker has been through.
pub(crate) struct Rig {
    pub(crate) site: Site,
    account: Account,
}

impl Rig {
    pub(crate) fn new(effort: Effort) -> anyhow::Result<Self> {
        let site = Site::new()?;
        let (events, account) = payments(effort.choose(200_000, 20_000))?;
        create_topic(&site.brokers(), TOPIC)?;
        produce(&site.brokers(), TOPIC, &events)?;
        let rig = Rig { site, account };
        rig.work(&group(0))?;
        Ok(rig)
    }

    /// Events in a second of one processor: of the worker, and of the copier.
    pub(crate) fn in_turns(&self, effort: Effort) -> anyhow::Result<(f64, f64)> {
        let (mut ours, mut baselines) = (Vec::new(), Vec::new());
        for turn in 1..=effort.choose(TURNS, 1) {
            ours.push(self.work(&group(turn))?);
            baselines.push(self.copy(&group(turn), &format!("copier-{turn}"))?);
        }
        Ok((median(ours), median(baselines)))
    }

    /// One worker, alone in a group.
    fn work(&self, group: &str) -> anyhow::Result<f64> {
        let worked: Worked = done(&Task::Work(self.site.worker(group, "a", false)))?;
        self.check(group, &worked)?;
        Ok(worked.events as f64 / worked.processor_seconds)
    }

    /// Whether each payment was counted, or set aside for the reason that was meant for it, and is in the topics.
    fn check(&self, group: &str, worked: &Worked) -> anyhow::Result<()> {
        let Account { events, late, early, conflicting, .. } = self.account;
        let aside = |reason: &str| worked.aside.get(reason).copied().unwrap_or(0);
        let conflicts = aside("conflict");
        ensure!(worked.events == events, "{} of {events} events were read", worked.events);
        ensure!(
            aside("late") == late && aside("early") == early,
            "{late} are late, {early} early: {:?}",
            worked.aside
        );
        // The copy of a payment that does not count conflicts with nothing.
        ensure!(
            conflicts <= conflicting && conflicts * 10 >= conflicting * 9,
            "{conflicting}: {:?}",
            worked.aside
        );
        ensure!(worked.aside.values().sum::<u64>() == late + early + conflicts, "{:?}", worked.aside);
        ensure!(worked.rows == events - late - early, "{} rows of {events} events", worked.rows);
        for (purpose, expected) in
            [(Purpose::Features, worked.rows), (Purpose::Late, late + early), (Purpose::DeadLetters, conflicts)]
        {
            let found = self.count(group, purpose)?;
            ensure!(found == expected, "{found} records in {purpose} instead of {expected}");
        }
        Ok(())
    }

    /// How many records a worker wrote.
    pub(crate) fn count(&self, group: &str, purpose: Purpose) -> anyhow::Result<u64> {
        let mut count = 0;
        read(&self.site.brokers(), &self.site.topic(group, purpose), |_| count += 1)?;
        Ok(count)
    }

    /// A copier that writes the very records that a worker wrote.
    fn copy(&self, of: &str, group: &str) -> anyhow::Result<f64> {
        let brokers = self.site.brokers();
        let topics = Purpose::OF_VIEW.map(|purpose| (self.site.topic(of, purpose), format!("{group}.{purpose}")));
        topics.iter().try_for_each(|(_, to)| create_topic(&brokers, to))?;
        let copied: Copied = done(&Task::Copy(Copy { brokers, group: group.to_owned(), topics: topics.into() }))?;
        ensure!(copied.events == self.account.events && copied.records > copied.events, "too little was copied");
        Ok(copied.events as f64 / copied.processor_seconds)
    }
}

/// A group of one worker.
pub(crate) fn group(turn: usize) -> String {
    format!("workers-{turn}")
}

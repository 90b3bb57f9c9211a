//! The states that groups of events are folded onto.

use crate::bindings::trifold::feature::types::Failure;
use crate::run::failure;
use crate::window::State;
use crate::window::guest::Group;
use crate::window::states::States;

/// Says that a state is not in the pool.
const NOWHERE: u32 = u32::MAX;

/// States on their way from group to group.
///
/// A state is decoded when it is first needed, and handed on in place to the group that needs it last, so that a
/// chain of groups neither decodes nor copies.
pub(crate) struct Bases<'a, S> {
    states: &'a States<'a>,
    /// For each state and then each answer: how many groups are still to fold onto it.
    uses: Vec<u32>,
    /// Likewise, where in the pool it is.
    slots: Vec<u32>,
    pool: Vec<S>,
    free: Vec<u32>,
    /// The place of the next group.
    place: usize,
}

impl<'a, S: State> Bases<'a, S> {
    /// The bases of the groups, which must name states or the answers for groups before them.
    pub(crate) fn new(states: &'a States<'a>, groups: &[Group]) -> Result<Self, Failure> {
        let mut uses = vec![0; states.count() + groups.len()];
        for (place, group) in groups.iter().enumerate() {
            let index = group.state as usize;
            if index >= states.count() + place {
                return Err(failure(format!(
                    "group {place}: {index} is neither one of the {} states nor the answer for an earlier group",
                    states.count()
                )));
            }
            uses[index] += 1;
        }
        let slots = vec![NOWHERE; uses.len()];
        Ok(Bases { states, uses, slots, pool: Vec::new(), free: Vec::new(), place: 0 })
    }

    /// The state for the next of the groups, to be folded onto in place.
    #[inline]
    pub(crate) fn next(&mut self, group: &Group) -> Result<&mut S, Failure> {
        let index = group.state as usize;
        if self.slots[index] == NOWHERE {
            let state = self.states.decode(index)?;
            self.slots[index] = self.put(state);
        }
        self.uses[index] -= 1;
        let mut slot = self.slots[index];
        if self.uses[index] > 0 {
            let copy = self.pool[slot as usize].clone();
            slot = self.put(copy);
        }
        let answer = self.states.count() + self.place;
        self.place += 1;
        self.slots[answer] = slot;
        if self.uses[answer] == 0 {
            // Nothing takes the slot before the next group, by when the state has been written.
            self.free.push(slot);
        }
        Ok(&mut self.pool[slot as usize])
    }

    #[inline]
    fn put(&mut self, state: S) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.pool[slot as usize] = state;
            return slot;
        }
        self.pool.push(state);
        // There are no more slots than states and groups, each of which is counted by a `u32`.
        (self.pool.len() - 1) as u32
    }
}

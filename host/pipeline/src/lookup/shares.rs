//! What each view of a request may burn of the request's budget.

use trifold_sandbox::Budget;

/// Divides the budget of a request between its views.
///
/// Every view has an equal share for itself. What a view leaves of its share when it is done falls to those that come
/// after it, so that a view that burns takes no more than what others have no use for.
pub(super) struct Shares<'a> {
    whole: &'a mut Budget,
    share: u64,
    views: Vec<View>,
}

#[derive(Clone, Copy, Default)]
struct View {
    spent: u64,
    is_done: bool,
}

impl<'a> Shares<'a> {
    pub(super) fn new(whole: &'a mut Budget, views: usize) -> Self {
        let share = whole.left() / (views as u64).max(1);
        Shares { whole, share, views: vec![View::default(); views] }
    }

    /// Lets a view burn what is its own, and what nobody else has a claim to.
    pub(super) fn spend<T>(&mut self, view: usize, burn: impl FnOnce(&mut Budget) -> T) -> T {
        let kept = |view: &View| if view.is_done { 0 } else { self.share.saturating_sub(view.spent) };
        let others = self.views.iter().enumerate().filter(|(other, _)| *other != view);
        let kept: u64 = others.map(|(_, other)| kept(other)).sum();
        let most = self.whole.each().saturating_sub(self.views[view].spent);
        let mut part = match self.views.len() {
            1 if most >= self.whole.left() => self.whole.clone(),
            _ => self.whole.part(self.whole.left().saturating_sub(kept).min(most)),
        };
        let before = part.spent();
        let burnt = burn(&mut part);
        let spent = part.spent() - before;
        self.views[view].spent += spent;
        self.whole.spend(spent);
        burnt
    }

    /// Takes note that a view needs no more.
    pub(super) fn done(&mut self, view: usize) {
        self.views[view].is_done = true;
    }

    /// Whether anybody still waits for the answer.
    pub(super) fn is_wanted(&self) -> bool {
        self.whole.is_wanted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Burns as much as there is, up to `units`, and returns how much that was.
    fn burn(shares: &mut Shares<'_>, view: usize, units: u64) -> u64 {
        shares.spend(view, |budget| {
            let before = budget.spent();
            budget.spend(units);
            budget.spent() - before
        })
    }

    #[test]
    fn a_view_that_burns_leaves_the_others_their_shares() {
        let mut whole = Budget::fuel(90);
        let mut shares = Shares::new(&mut whole, 3);
        assert_eq!(burn(&mut shares, 0, 1000), 30);
        assert_eq!(burn(&mut shares, 0, 1000), 0);
        shares.done(0);
        assert_eq!(burn(&mut shares, 1, 10), 10);
        shares.done(1);
        assert_eq!(burn(&mut shares, 2, 1000), 50);
        assert_eq!(whole.left(), 0);
    }

    #[test]
    fn a_view_alone_has_the_whole_unless_no_view_may() {
        let mut whole = Budget::fuel(90);
        assert_eq!(burn(&mut Shares::new(&mut whole, 1), 0, 1000), 90);
        let mut whole = Budget::fuel(90).at_most_each(20);
        let mut shares = Shares::new(&mut whole, 1);
        assert_eq!((burn(&mut shares, 0, 15), burn(&mut shares, 0, 15)), (15, 5));
        assert_eq!(whole.spent(), 20);
    }

    #[test]
    fn an_unlimited_budget_stays_so() {
        let mut whole = Budget::unlimited();
        let mut shares = Shares::new(&mut whole, 2);
        assert_eq!(burn(&mut shares, 0, 1 << 40), 1 << 40);
        assert!(whole.left() > 1 << 62);
    }
}

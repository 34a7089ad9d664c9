//! The one fault of a server that is on, seen by every connection of it.

use tokio::sync::watch;

/// Holds the fault that is on.
#[derive(Debug)]
pub(super) struct Switch<F>(watch::Sender<Option<F>>);

impl<F: Copy + PartialEq> Switch<F> {
    /// Nothing is wrong yet.
    pub(super) fn off() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Turns to this fault, or to none.
    pub(super) fn turn(&self, fault: Option<F>) {
        self.0.send_replace(fault);
    }

    /// The fault that is on.
    pub(super) fn on(&self) -> Option<F> {
        *self.0.borrow()
    }

    /// Whether this fault is on.
    pub(super) fn is(&self, fault: F) -> bool {
        self.on() == Some(fault)
    }

    /// Returns once this fault is off.
    pub(super) async fn outlast(&self, fault: F) {
        // The sender is our own: it cannot be gone.
        self.0.subscribe().wait_for(|on| *on != Some(fault)).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_for_a_fault_to_pass_ends_when_it_is_switched_off() {
        let switch = Switch::off();
        switch.outlast('x').await;
        switch.turn(Some('x'));
        assert!(switch.is('x') && !switch.is('y'));
        let mut passing = Box::pin(switch.outlast('x'));
        tokio::select! {
            biased;
            () = &mut passing => panic!("it is still on"),
            () = std::future::ready(()) => {}
        }
        switch.turn(Some('y'));
        passing.await;
    }
}

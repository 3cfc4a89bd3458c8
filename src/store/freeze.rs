//! The freeze: writes that wait while a copy of one moment is made.
//!
//! What must stay true: whoever made it may die; then it ends.

/// Writes wait while this is held.
#[derive(Debug)]
pub struct Freeze {
    /// Dropped with it: the word to go on.
    _thaw: tokio::sync::oneshot::Sender<()>,
}

impl Freeze {
    /// Writes go on when the receiver of `thaw` hears that it is gone.
    pub(crate) fn until(thaw: tokio::sync::oneshot::Sender<()>) -> Self {
        Self { _thaw: thaw }
    }
}

//! Lives: tasks that end together.

use tokio::task::{JoinHandle, LocalSet, spawn_local};

/// A task, and all that are spawned by it, by those, and so on.
///
/// They end, and let go of what they hold, when this value does.
pub struct Life(JoinHandle<()>);

impl Life {
    /// Begins with `first`.
    #[must_use]
    pub fn begin(first: impl Future<Output = ()> + 'static) -> Self {
        let all = LocalSet::new();
        all.spawn_local(first);
        // A local set within another one: what its tasks spawn is its own (tokio 1.54).
        Self(spawn_local(all))
    }

    /// Ends all of them, and returns when none is left.
    pub async fn end(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn tasks_that_a_life_has_begun_end_with_it_and_with_nothing_before() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, async {
            let held = Rc::new(());
            let inner = Rc::clone(&held);
            let life = Life::begin(async move {
                spawn_local(async move {
                    spawn_local(async move {
                        let _inner = inner;
                        std::future::pending::<()>().await;
                    });
                });
            });
            let other = Rc::clone(&held);
            spawn_local(async move {
                let _other = other;
                std::future::pending::<()>().await;
            });
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert_eq!(Rc::strong_count(&held), 3);
            life.end().await;
            assert_eq!(Rc::strong_count(&held), 2);
        });
    }
}

//! The thread that looks after the network: connections of agents, and what starts them.

use std::sync::Arc;
use std::time::Duration;

use ictasks_core::handshake::{Invitation, Invited};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::FromHub;
use super::guest::Guest;
use super::launcher;
use crate::backend::StartCommand;
use crate::error::FarmError;

/// So many connections may be in their handshake at a time; others wait.
const GREETED_AT_ONCE: usize = 512;
/// After an error of accepting, for instance for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// What the loop holds of the thread.
pub struct Handle {
    finish: oneshot::Sender<()>,
    finished: oneshot::Receiver<()>,
}

impl Handle {
    /// Ends the launchers, gently if they let themselves be ended so, and the thread.
    pub async fn finish(self) {
        drop(self.finish);
        // An error means the same: the thread is gone.
        let _ = self.finished.await;
    }
}

/// Starts the thread.
///
/// # Errors
/// The system has no more threads.
pub fn start(
    listener: std::net::TcpListener,
    invitation: Invitation,
    commands: Vec<StartCommand>,
) -> Result<(Handle, mpsc::UnboundedReceiver<FromHub>), FarmError> {
    let system = |source| FarmError::System { action: "start the network's thread", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
    listener.set_nonblocking(true).map_err(system)?;
    let (news, receiver) = mpsc::unbounded_channel();
    let (finish, finishes) = oneshot::channel();
    let (tells_end, finished) = oneshot::channel();
    crate::threads::start("nodes", move || {
        runtime.block_on(run(listener, invitation, commands, news, finishes));
        // Nobody listens if the loop is gone.
        let _ = tells_end.send(());
    })?;
    Ok((Handle { finish, finished }, receiver))
}

async fn run(
    listener: std::net::TcpListener,
    invitation: Invitation,
    commands: Vec<StartCommand>,
    news: mpsc::UnboundedSender<FromHub>,
    finishes: oneshot::Receiver<()>,
) {
    let (ends, ending) = tokio::sync::watch::channel(());
    let line = serde_json::to_vec(&Invited { invitation: invitation.clone() }).unwrap_or_default();
    let launchers = tokio::spawn(launcher::run(commands, line, news.clone(), ending));
    let guests = tokio::spawn(accept(listener, Arc::new(invitation), news));
    // Also when the loop is gone.
    let _ = finishes.await;
    drop(ends);
    let _ = launchers.await;
    guests.abort();
}

async fn accept(
    listener: std::net::TcpListener,
    invitation: Arc<Invitation>,
    news: mpsc::UnboundedSender<FromHub>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            let _ = news.send(FromHub::Warning(format!("agents cannot be listened for: {error}")));
            return;
        }
    };
    let places = Arc::new(Semaphore::new(GREETED_AT_ONCE));
    let mut guests = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let guest = Guest { invitation: invitation.clone(), news: news.clone() };
                guests.spawn(guest.receive(stream, place));
            }
            Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
        }
        while guests.try_join_next().is_some() {}
    }
}

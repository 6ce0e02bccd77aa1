//! Laws of the citizen API, against the embedded log and a view of it in memory.

mod choices;
mod description;
mod doors;
mod forces;
mod keysets;
mod loading;
mod mailbox;
mod mirror;
mod pen;
mod rates;
mod rig;

//! Laws of the citizen API, against the embedded log and a view of it in memory.

mod loading;

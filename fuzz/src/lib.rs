//! The checks of the fuzz targets, each in a module of its own, so that their seeds are tests as
//! well.

mod answer;
pub mod body;
pub mod configuration;
pub mod credentials;
pub mod directory;
pub mod encoding;
pub mod events;
mod expansion;
mod folder;
mod gateway;
pub mod headers;
pub mod http1;
pub mod http2;
pub mod journal;
pub mod keys;
pub mod sessions;

#[cfg(test)]
mod tests;

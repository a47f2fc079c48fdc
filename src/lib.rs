//! An open ingestion gateway for the IEM publish service and its ITSM integration API.

pub mod cli {
    //! The command line.
    pub mod directory;
}
pub mod identity;

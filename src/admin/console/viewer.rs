//! Somebody who looks at the console.

/// Somebody who looks at a page.
pub struct Viewer<'v> {
    /// The email of the superadmin who has logged in, if one has.
    pub user: Option<&'v str>,
    /// The token that a page sends with a change.
    pub csrf: &'v str,
}

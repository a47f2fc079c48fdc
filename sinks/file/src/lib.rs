//! Records as lines of JSON in rotated, synced files.

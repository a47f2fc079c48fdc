//! Decompression alone: a whole body in memory into a buffer that is large enough.

use std::hint::black_box;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe::DCtx;

use super::work::Work;
use crate::body::{Body, Coding};
use crate::users::Users;

/// The base 2 logarithm of gzip's window.
const WINDOW_LOG: u8 = 15;

pub struct Decode {
    coding: Coding,
    body: Vec<u8>,
    plain: Vec<u8>,
}

impl Decode {
    /// Returns the decompression of the body that `text` describes in JSON.
    pub fn new(text: &str) -> Self {
        let body: Body = serde_json::from_str(text).expect("the text describes a body");
        let customer = Users::customer(0);
        let plain = Vec::with_capacity(body.plain(&customer, 0).len());
        Self {
            coding: body.coding,
            body: body.bytes(&customer, 0),
            plain,
        }
    }
}

impl Work for Decode {
    fn once(&mut self, _: usize) {
        self.plain.clear();
        match self.coding {
            Coding::Plain => self.plain.extend_from_slice(&self.body),
            Coding::Gzip => {
                let mut decoder = Decompress::new_gzip(WINDOW_LOG);
                let status =
                    decoder.decompress_vec(&self.body, &mut self.plain, FlushDecompress::Finish);
                assert_eq!(status.expect("the body is valid"), Status::StreamEnd);
            }
            Coding::Zstd => {
                let mut decoder = DCtx::create();
                decoder
                    .decompress(&mut self.plain, &self.body)
                    .expect("the body is valid");
            }
        }
        black_box(&self.plain);
    }
}

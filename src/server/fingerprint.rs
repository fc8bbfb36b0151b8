//! Whether a confidential value is the same as before, for the status.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::domain::secrets::Confidential;

/// Bytes of a fingerprint.
const BYTES: usize = 12;

/// Says whether a value, which may have several parts, is the same as before, and nothing else: without the signing key of the server it cannot
/// be searched for.
pub(super) fn fingerprint(key: &Confidential, parts: &[&Confidential]) -> String {
    let parts: Vec<&[u8]> = parts.iter().map(|part| &*part.0).collect();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), &parts.join(&b'\n'));
    URL_SAFE_NO_PAD.encode(&tag.as_ref()[..BYTES])
}

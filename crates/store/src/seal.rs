//! Encryption at rest: AES-256-GCM, in an envelope.
//!
//! Each document, tape and recording has a key of its own, drawn at random. It stands before what it encrypts, itself encrypted by a
//! master key that only the environment has. A new master key is put before the old one: what is written from then on is sealed by
//! the new one, and what is there stays readable by the old one until it is sealed again.
//!
//! Tapes and recordings grow while a call lasts: each part that is written is sealed by itself, by the file's key and the part's number,
//! so that parts can't change places, and a file that a crash cut off opens up to its last whole part.
//!
//! What is searched by (numbers, words) is replaced by keyed hashes: equal words are found, but not read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::Sha256;

/// What a sealed piece begins with; the last octet is the form: a whole, or a file that grew.
const MAGIC: [u8; 4] = *b"OFK\x01";
const GROWN: [u8; 4] = *b"OFK\x02";
/// Octets before a part of a file that grew: its length.
const LENGTH: usize = 4;
const KEY: usize = 32;
const TAG: usize = 16;
/// Octets before the ciphertext: magic, the master key's name, the wrapped key with its nonce, the nonce.
const HEADER: usize = MAGIC.len() + NAME + NONCE_LEN + KEY + TAG;
const NAME: usize = 8;

/// Why keys can't be used, or a piece can't be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The keys in the environment.
    #[error(
        "a key of the store must be 32 octets in base64: `openssl rand -base64 32` makes one; several are separated by commas, the newest first"
    )]
    BadKey,
    /// It is sealed, and there is no key, or none that fits.
    #[error("it is encrypted by a key that isn't set: put that key behind the newer one")]
    NoKey,
    /// It was changed, or cut off.
    #[error("it is encrypted, and damaged")]
    Damaged,
    /// The system.
    #[error("the system has no randomness to give")]
    NoRandomness,
}

/// The master keys, the newest first. `Debug` shows none.
#[derive(Clone)]
pub struct Keys(Vec<Master>);

#[derive(Clone)]
struct Master {
    secret: [u8; KEY],
    /// The first octets of its hash: says which key a piece was sealed by.
    name: [u8; NAME],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(bytes)
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, SealError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| SealError::BadKey)
}

fn keyed(key: &[u8], purpose: &str, text: &str) -> [u8; 32] {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

impl Keys {
    /// Reads keys in base64, separated by commas, the newest first.
    ///
    /// # Errors
    /// If one is no key.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let one = |text: &str| {
            let secret: [u8; KEY] = STANDARD
                .decode(text)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(SealError::BadKey)?;
            let mut name = [0; NAME];
            name.copy_from_slice(&keyed(&secret, "name", "")[..NAME]);
            Ok(Master { secret, name })
        };
        let keys: Vec<Master> = text
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(one)
            .collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(SealError::BadKey) } else { Ok(Self(keys)) }
    }

    /// Seals a piece by the newest key.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let (head, key) = self.header(MAGIC)?;
        let mut sealed = head;
        let mut body = plain.to_vec();
        // A key seals one piece alone, so its nonce may be fixed.
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        cipher(&key)?
            .seal_in_place_append_tag(nonce, Aad::from(MAGIC), &mut body)
            .map_err(|_| SealError::Damaged)?;
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Seals a file that grows, by the newest key.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn sealer(&self) -> Result<Sealer, SealError> {
        let (head, key) = self.header(GROWN)?;
        Ok(Sealer { head, key: cipher(&key)?, parts: 0 })
    }

    /// A new key, and the header that tells it to whoever has the master key.
    fn header(&self, magic: [u8; 4]) -> Result<(Vec<u8>, [u8; KEY]), SealError> {
        let master = self.0.first().ok_or(SealError::NoKey)?;
        let key: [u8; KEY] = random()?;
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut wrapped = key.to_vec();
        cipher(&master.secret)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(master.name),
                &mut wrapped,
            )
            .map_err(|_| SealError::Damaged)?;
        let mut head = Vec::with_capacity(HEADER);
        head.extend_from_slice(&magic);
        head.extend_from_slice(&master.name);
        head.extend_from_slice(&nonce);
        head.extend_from_slice(&wrapped);
        Ok((head, key))
    }

    /// The key that a header tells.
    fn unwrapped(&self, head: &[u8]) -> Result<[u8; KEY], SealError> {
        let (name, rest) = head.get(MAGIC.len()..HEADER).ok_or(SealError::Damaged)?.split_at(NAME);
        let master = self.0.iter().find(|key| key.name == name).ok_or(SealError::NoKey)?;
        let (nonce, wrapped) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Damaged)?;
        let mut wrapped = wrapped.to_vec();
        let key = cipher(&master.secret)?
            .open_in_place(nonce, Aad::from(master.name), &mut wrapped)
            .map_err(|_| SealError::Damaged)?;
        <[u8; KEY]>::try_from(&*key).map_err(|_| SealError::Damaged)
    }

    /// Opens a piece. One that isn't sealed is given as it is.
    ///
    /// # Errors
    /// If no key fits, or it was changed.
    pub fn open(keys: Option<&Self>, piece: &[u8]) -> Result<Vec<u8>, SealError> {
        if !is_sealed(piece) {
            return Ok(piece.to_vec());
        }
        let key = keys.ok_or(SealError::NoKey)?.unwrapped(piece)?;
        if piece.starts_with(&GROWN) {
            return grown(&cipher(&key)?, piece.get(HEADER..).unwrap_or_default());
        }
        let mut body = piece.get(HEADER..).ok_or(SealError::Damaged)?.to_vec();
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let plain = cipher(&key)?
            .open_in_place(nonce, Aad::from(MAGIC), &mut body)
            .map_err(|_| SealError::Damaged)?
            .len();
        body.truncate(plain);
        Ok(body)
    }

    /// Whether a piece is sealed by the newest key.
    #[must_use]
    pub fn is_newest(&self, piece: &[u8]) -> bool {
        let name = piece.get(MAGIC.len()..MAGIC.len() + NAME);
        is_sealed(piece) && self.0.first().is_some_and(|newest| name == Some(&newest.name[..]))
    }

    /// What stands for a word or number in the index, by the newest key.
    #[must_use]
    pub fn hidden(&self, text: &str) -> String {
        self.0.first().map_or_else(String::new, |newest| hidden(newest, text))
    }

    /// The same by each key: what older keys wrote is found too.
    #[must_use]
    pub fn all_hidden(&self, text: &str) -> Vec<String> {
        self.0.iter().map(|key| hidden(key, text)).collect()
    }
}

/// Seals the parts of one file.
pub struct Sealer {
    /// Goes before the first part.
    head: Vec<u8>,
    key: LessSafeKey,
    parts: u64,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({} parts)", self.parts)
    }
}

impl Sealer {
    /// What is to be appended to the file for this part of it.
    ///
    /// # Errors
    /// If the part has 4 GiB or more.
    pub fn part(&mut self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let length = u32::try_from(plain.len() + TAG).map_err(|_| SealError::Damaged)?;
        let mut sealed = std::mem::take(&mut self.head);
        sealed.extend_from_slice(&length.to_le_bytes());
        let from = sealed.len();
        sealed.extend_from_slice(plain);
        let body = sealed.get_mut(from..).unwrap_or_default();
        let tag = self
            .key
            .seal_in_place_separate_tag(numbered(self.parts), Aad::from(GROWN), body)
            .map_err(|_| SealError::Damaged)?;
        sealed.extend_from_slice(tag.as_ref());
        self.parts += 1;
        Ok(sealed)
    }
}

/// A key seals one file alone, and each number once.
fn numbered(part: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&part.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// The whole parts of a file that grew.
fn grown(key: &LessSafeKey, mut rest: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut plain = Vec::with_capacity(rest.len());
    for part in 0.. {
        let Some((length, behind)) = rest.split_first_chunk::<LENGTH>() else { break };
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| SealError::Damaged)?;
        let Some((body, behind)) = behind.split_at_checked(length) else { break };
        let mut body = body.to_vec();
        let opened = key.open_in_place(numbered(part), Aad::from(GROWN), &mut body);
        plain.extend_from_slice(opened.map_err(|_| SealError::Damaged)?);
        rest = behind;
    }
    Ok(plain)
}

/// 80 bits: enough that no two words of a store meet.
fn hidden(key: &Master, text: &str) -> String {
    keyed(&key.secret, "index", text)[..10].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a piece is sealed.
#[must_use]
pub(crate) fn is_sealed(piece: &[u8]) -> bool {
    piece.starts_with(&MAGIC) || piece.starts_with(&GROWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Keys {
        let all: Vec<String> = bytes.iter().map(|byte| STANDARD.encode([*byte; KEY])).collect();
        Keys::parse(&all.join(",")).unwrap()
    }

    #[test]
    fn a_file_that_grew_opens_up_to_where_a_crash_cut_it_off() {
        let (old, both) = (keys(&[1]), keys(&[2, 1]));
        let mut sealer = old.sealer().unwrap();
        let mut file = Vec::new();
        let mut ends = Vec::new();
        for part in [&b"one "[..], b"", b"three"] {
            file.extend(sealer.part(part).unwrap());
            ends.push(file.len());
        }
        assert!(!file.windows(4).any(|window| window == b"thre"));
        for cut in HEADER..=file.len() {
            let plain = Keys::open(Some(&both), &file[..cut]).unwrap();
            let whole: &[u8] = if cut == file.len() {
                b"one three"
            } else if cut >= ends[0] {
                b"one "
            } else {
                b""
            };
            assert_eq!(plain, whole, "cut at {cut}");
        }
        // Parts that changed places, or were changed.
        let swapped = [&file[..HEADER], &file[ends[0]..ends[1]], &file[HEADER..ends[0]]].concat();
        assert_eq!(Keys::open(Some(&old), &swapped), Err(SealError::Damaged));
        file[ends[1] + LENGTH] ^= 1;
        assert_eq!(Keys::open(Some(&old), &file), Err(SealError::Damaged));
        assert_eq!(Keys::open(Some(&keys(&[3])), &file), Err(SealError::NoKey));
    }

    #[test]
    fn pieces_are_sealed_and_keys_rotate() {
        let (old, both, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
        let sealed = old.seal(b"a call").unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"call") && is_sealed(&sealed));
        assert_eq!(Keys::open(Some(&both), &sealed).unwrap(), b"a call");
        assert_eq!(Keys::open(Some(&new), &sealed), Err(SealError::NoKey));
        assert_eq!(Keys::open(None, &sealed), Err(SealError::NoKey));
        assert_eq!(Keys::open(None, b"plain").unwrap(), b"plain");
        assert!(old.is_newest(&sealed) && !both.is_newest(&sealed));
        let again = both.seal(&Keys::open(Some(&both), &sealed).unwrap()).unwrap();
        assert_eq!(Keys::open(Some(&new), &again).unwrap(), b"a call");
        assert_ne!(old.seal(b"a call").unwrap(), sealed, "each piece has a key of its own");
    }

    #[test]
    fn nothing_of_a_piece_can_be_changed() {
        let keys = keys(&[1]);
        let sealed = keys.seal(b"a call").unwrap();
        for place in 4..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(Keys::open(Some(&keys), &changed).is_err(), "octet {place}");
            assert!(Keys::open(Some(&keys), &sealed[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn words_are_hidden_and_found() {
        let (old, both) = (keys(&[1]), keys(&[2, 1]));
        assert!(both.all_hidden("pizza").contains(&old.hidden("pizza")));
        assert_ne!(old.hidden("pizza"), old.hidden("pizzas"));
        for bad in ["", "short", "AAAA"] {
            assert!(Keys::parse(bad).is_err());
        }
        assert_eq!(format!("{both:?}"), "Keys(2)");
    }
}

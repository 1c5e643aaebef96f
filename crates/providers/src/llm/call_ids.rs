//! Ids of tool calls on the wire. The conversation's ids are those that some provider gave, and another one may refuse them: a chain
//! fails over in the middle of a call.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a protocol takes for the id of a tool call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallIdFormat {
    /// 1 to 32 letters, digits, `_` or `-`: what OpenAI (up to 40 characters; Realtime up to 32), Anthropic
    /// (`^[a-zA-Z0-9_-]+$`) and most others take.
    #[default]
    Token,
    /// Exactly nine letters or digits: the models of Mistral.
    NineAlphanumerics,
}

impl CallIdFormat {
    fn takes(self, id: &str) -> bool {
        match self {
            Self::Token => {
                (1..=32).contains(&id.len())
                    && id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
            }
            Self::NineAlphanumerics => id.len() == 9 && id.bytes().all(|c| c.is_ascii_alphanumeric()),
        }
    }
}

/// The ids on the wire of calls with these ids, in the same order. An id that is allowed stays as it is; another is replaced by one
/// derived from it, the same in each request. No two are equal.
pub(crate) fn wire_ids<'a>(ids: impl Iterator<Item = &'a str> + Clone, format: CallIdFormat) -> Vec<String> {
    // Ids that stay come first: none that is derived may take their place.
    let mut taken: BTreeSet<String> = ids.clone().filter(|id| format.takes(id)).map(str::to_owned).collect();
    let mut kept = BTreeSet::new();
    ids.map(|id| {
        if format.takes(id) && kept.insert(id) {
            return id.to_owned();
        }
        let mut salt = 0;
        loop {
            let derived = derive(id, salt);
            if taken.insert(derived.clone()) {
                return derived;
            }
            salt += 1;
        }
    })
    .collect()
}

/// Nine letters and digits, the same for the same id and salt: FNV-1a in base 62.
fn derive(id: &str, salt: u32) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let octets = id.bytes().chain(salt.to_le_bytes());
    let mut hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    (0..9)
        .map(|_| {
            let digit = (hash % 62) as usize;
            hash /= 62;
            char::from(DIGITS.get(digit).copied().unwrap_or(b'0'))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(ids: &[&str], format: CallIdFormat) -> Vec<String> {
        wire_ids(ids.iter().copied(), format)
    }

    #[test]
    fn ids_that_are_allowed_stay() {
        assert_eq!(wire(&["call_1", "toolu_01-x"], CallIdFormat::Token), ["call_1", "toolu_01-x"]);
        assert_eq!(wire(&["D681PevKs"], CallIdFormat::NineAlphanumerics), ["D681PevKs"]);
    }

    #[test]
    fn an_id_is_the_same_in_every_request() {
        let [first, second] = &wire(&["call_1", "call_1~2"], CallIdFormat::NineAlphanumerics)[..] else {
            panic!()
        };
        assert_eq!(*wire(&["x", "call_1~2"], CallIdFormat::NineAlphanumerics)[1], *second);
        assert_ne!(first, second);
        assert_eq!(wire(&["call_1~2"], CallIdFormat::Token)[0], *second);
    }

    proptest! {
        #[test]
        fn all_are_allowed_and_none_is_there_twice(ids in proptest::collection::vec("[a-c~ü_]{0,3}|[a-z]{30,40}", 0..12)) {
            for format in [CallIdFormat::Token, CallIdFormat::NineAlphanumerics] {
                let wire = wire_ids(ids.iter().map(String::as_str), format);
                prop_assert!(wire.iter().all(|id| format.takes(id)), "{:?}", wire);
                prop_assert_eq!(wire.iter().collect::<BTreeSet<_>>().len(), ids.len());
            }
        }
    }
}

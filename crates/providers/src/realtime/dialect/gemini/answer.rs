//! An answer of Gemini's, kept back until the call asks for it.

use serde_json::{Value, json};

use crate::realtime::wire::{Heard, Item, Response, sound};

/// Events of an answer that nobody has asked for; a minute of speech is 600.
const MOST_KEPT: usize = 4_000;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    response: String,
    item: String,
    asked: bool,
    done: bool,
    kept: Vec<Heard>,
    text: String,
    octets: usize,
}

impl Answer {
    pub(super) const fn new(response: String, item: String) -> Self {
        Self { response, item, asked: false, done: false, kept: Vec::new(), text: String::new(), octets: 0 }
    }

    pub(super) const fn is_asked(&self) -> bool {
        self.asked
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Its item, its words, and how much sound it has.
    pub(super) fn said(&self) -> (String, String, usize) {
        (self.item.clone(), self.text.clone(), self.octets)
    }

    /// The call wants it: what there is goes on.
    pub(super) fn ask(&mut self, heard: &mut Vec<Heard>) {
        self.asked = true;
        let response = Response { id: self.response.clone(), ..Response::default() };
        heard.push(Heard::Created { response });
        heard.append(&mut self.kept);
    }

    fn push(&mut self, event: Heard, heard: &mut Vec<Heard>) {
        if self.asked {
            heard.push(event);
        } else if self.kept.len() < MOST_KEPT {
            self.kept.push(event);
        }
    }

    pub(super) fn words(&mut self, delta: &str, heard: &mut Vec<Heard>) {
        self.text.push_str(delta);
        let event = Heard::Words { response_id: self.response.clone(), delta: delta.to_owned() };
        self.push(event, heard);
    }

    pub(super) fn sound(&mut self, delta: &str, heard: &mut Vec<Heard>) {
        self.octets += sound(delta).map_or(0, |octets| octets.len());
        let event = Heard::Sound {
            response_id: self.response.clone(),
            item_id: self.item.clone(),
            content_index: 0.0,
            delta: delta.to_owned(),
        };
        self.push(event, heard);
    }

    pub(super) fn call(&mut self, item: &str, id: &str, name: &str, args: &Value, heard: &mut Vec<Heard>) {
        let item = Item {
            id: item.to_owned(),
            kind: "function_call".to_owned(),
            call_id: id.to_owned(),
            name: name.to_owned(),
            arguments: if args.is_object() { args.clone() } else { json!({}) },
        };
        let event = Heard::ItemDone { response_id: self.response.clone(), item };
        self.push(event, heard);
    }

    pub(super) fn finish(&mut self, status: &str, heard: &mut Vec<Heard>) {
        self.done = true;
        let response =
            Response { id: self.response.clone(), status: status.to_owned(), ..Response::default() };
        self.push(Heard::Done { response, usage: None }, heard);
    }
}

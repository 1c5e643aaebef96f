//! A `multipart/form-data` body (RFC 7578).

use bytes::Bytes;

/// A form that is being filled.
#[derive(Debug, Default)]
pub(super) struct Form {
    parts: Vec<(String, Vec<u8>)>,
}

impl Form {
    /// A field. `name` is ours, and needs no quoting.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        let head = format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        self.parts.push((head, value.as_bytes().to_vec()));
    }

    /// A file of sound. Servers tell its format by its name.
    pub(super) fn file(&mut self, name: &str, file_name: &str, content: Vec<u8>) {
        let head = format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
             Content-Type: audio/wav\r\n\r\n"
        );
        self.parts.push((head, content));
    }

    /// The value of the header `content-type`, and the body.
    pub(super) fn finish(self) -> (String, Bytes) {
        let mut boundary = "offhook-6d1f2c83a7e94b50".to_owned();
        while self.parts.iter().any(|(_, content)| contains(content, boundary.as_bytes())) {
            boundary.push('x');
        }
        let size: usize = self.parts.iter().map(|(head, content)| head.len() + content.len() + 64).sum();
        let mut body = Vec::with_capacity(size + 64);
        for (head, content) in self.parts {
            body.extend_from_slice(format!("--{boundary}\r\n{head}").as_bytes());
            body.extend_from_slice(&content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={boundary}"), body.into())
    }
}

fn contains(content: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(content, needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_as_the_standard_says() {
        let mut form = Form::default();
        form.file("file", "speech.wav", b"RIFF".to_vec());
        form.field("model", "offhook-6d1f2c83a7e94b50");
        let (kind, body) = form.finish();
        let body = String::from_utf8(body.to_vec()).unwrap();
        insta::assert_snapshot!(format!("{kind}\n\n{}", body.replace("\r\n", "\n")));
    }
}

//! Nothing of a request reaches a log line, at any level.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::support::{Api, PLAIN, client};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

static LINES: OnceLock<Lines> = OnceLock::new();

/// From the first call on, everything that anything in this process logs is kept.
pub fn capture() {
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(lines.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        lines
    });
}

/// Whether anything has logged these words so far.
pub fn is_logged(canary: &str) -> bool {
    let lines = LINES.get().unwrap().0.lock();
    lines.windows(canary.len()).any(|window| window == canary.as_bytes())
}

#[tokio::test]
async fn no_code_text_or_key_reaches_a_log_line() {
    let api = Api::start().await;
    tracing::info!("a canary in clear: CNRCNR00A00A000C");
    assert!(is_logged("CNRCNR00A00A000C"), "the search must find what is there");
    let good = "CNRCNR00A00A000A";
    let body = json!({
        "fiscal_code": good,
        "content": { "subject": "Subject of the canary", "markdown": "m".repeat(80) }
    });
    for client in [client(), client().http2_prior_knowledge()] {
        let client = client.build().unwrap();
        let key = api.key(PLAIN);
        let with_key =
            |request: reqwest::RequestBuilder| request.header("Ocp-Apim-Subscription-Key", key);
        let posted = with_key(client.post(api.url("/messages"))).json(&body);
        assert_eq!(posted.send().await.unwrap().status(), 201);
        let bad = json!({ "fiscal_code": "cnrcnr00a00a000b", "content": {} });
        let posted = with_key(client.post(api.url("/messages"))).json(&bad);
        assert_eq!(posted.send().await.unwrap().status(), 400);
        for path in [
            format!("/profiles/{good}"),
            "/profiles/cnrcnr00a00a000b".to_owned(),
            format!("/messages/{good}/x"),
            format!("/unknown/{good}"),
        ] {
            let status = with_key(client.get(api.url(&path))).send().await.unwrap().status();
            assert!(status.is_client_error(), "{path}");
        }
    }
    for canary in [good, "cnrcnr00a00a000b", "Subject of the canary", api.key(PLAIN)] {
        assert!(!is_logged(canary), "{canary}");
    }
}

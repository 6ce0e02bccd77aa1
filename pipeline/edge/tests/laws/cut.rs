//! An answer that is cut off.

use edge::pool::{NoAnswer, Push as _, Reply};

use crate::double::{Do, Server, request};
use crate::frames;

const BODY: &[u8] = b"{\"reason\":\"Unregistered\",\"timestamp\":1454948015990}";

/// As the peer sends it on its first stream: head, body.
fn answer() -> Vec<u8> {
    let frames = [frames::head(1, 410, false), frames::data(1, BODY, true)];
    frames.iter().flat_map(frames::bytes).collect()
}

/// Hazard H1, seen in GOV.UK Notify (its pull request 802) and VA Notify (its issue 2352): a provider takes
/// a message, the answer is lost on the way, and it is sent again as if nobody had taken it.
#[tokio::test]
async fn an_answer_cut_at_any_byte_is_no_answer_and_a_whole_one_is_one() {
    let whole = answer();
    for length in 0..=whole.len() {
        let said = whole[..length].to_vec();
        let server = Server::scripted(vec![], move |_| vec![Do::Say(said.clone()), Do::Hangup]);
        let reply = server.pool(|_| {}).send(request("{}")).await;
        let is_right = match &reply {
            Reply::Answer { status, body, .. } => {
                length == whole.len() && (*status, &body[..]) == (410, BODY)
            }
            Reply::NoAnswer { why } => length < whole.len() && *why == NoAnswer::Lost,
            Reply::Unsent { .. } => false,
        };
        assert!(is_right, "{length} of {} bytes: {reply:?}", whole.len());
    }
}

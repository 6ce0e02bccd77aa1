//! The client that asks for tokens and key sets.

use edge::tls::client_config;
use edge::token::token_client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::double::Identity;

/// Hazard H16, seen in Svix (its guard against internal addresses): the server that we were told to ask sends
/// us on to an address inside. Whatever it answers, no other address is called.
#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = |listener: &TcpListener| format!("http://{}/", listener.local_addr().unwrap());
    let client =
        token_client(client_config(Some(&Identity::new(&[]).ca_pem), &[]).unwrap()).unwrap();
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Go", "308 Go"] {
        let request = client.get(url(&asked)).send();
        let answer = async {
            let (mut socket, _) = asked.accept().await.unwrap();
            let mut heard = [0; 4_096];
            let _ = socket.read(&mut heard).await.unwrap();
            let answer = format!(
                "HTTP/1.1 {status}\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                url(&inside)
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
        };
        let (got, ()) = tokio::join!(request, answer);
        assert_eq!(got.unwrap().status().as_str(), &status[..3]);
    }
    let called = futures::poll!(std::pin::pin!(inside.accept()));
    assert!(called.is_pending(), "the address inside was called");
}

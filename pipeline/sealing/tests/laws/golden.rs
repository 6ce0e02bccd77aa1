//! Stored bytes must open in every later version: values made by another implementation (Python's
//! `hmac` and `cryptography`), from keys that count upwards and nonces that repeat one byte.

use schemas::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{Sealed, TransitKeyRecord};
use sealing::{Field, Keyring, Part, TransitKeys};

const CITIZEN: Pseudonym = Pseudonym([0xc1; 16]);
const GENERATION: Generation = Generation([0x9e; 16]);

fn keyring() -> Keyring {
    let json = r#"{
        "version": 1,
        "pepper": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "root": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
        "masters": [{
            "id": "00112233aabbccdd",
            "key": "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=",
            "created_at": 0
        }]
    }"#;
    Keyring::from_json(json.as_bytes()).expect("a keyring")
}

fn message() -> MessageId {
    MessageId::from_bytes(std::array::from_fn(|at| u8::try_from(at + 1).expect("few")))
}

fn bytes(hex_digits: &str) -> Vec<u8> {
    hex::decode(hex_digits).expect("hex")
}

fn transit() -> TransitKeys {
    let record = TransitKeyRecord {
        key_id: "01aa02bb03cc04dd".into(),
        valid_from: Timestamp(1000),
        destroy_after: Timestamp(9000),
        wrapped: Sealed(bytes(concat!(
            "00112233aabbccdd010101010101010101010101c791febed6740dfe2d03a5f4af5551a035695970c5d3",
            "0f053f52b3ceaa214927d200f65d3de30a6c2ed201b81ba16535"
        ))),
    };
    let mut ring = TransitKeys::default();
    ring.apply(keyring().masters(), &record).expect("the record opens");
    ring
}

#[test]
fn what_was_sealed_on_the_way_opens() {
    let wire = bytes(concat!(
        "01aa02bb03cc04dd03030303030303030303030371f32867cf94bed2e3b8d47305a890cac324f6a04beb",
        "1bb4b96e44c7cbb17098d7350f9a08f90197fdbfe65ef88d843d"
    ));
    let key = transit().unwrap(message(), &wire).expect("the wrapped key opens");
    let content = bytes("0505050505050505050505053a41bc2358ed39876a2c975f502abe9a09dc9f00c9a3");
    let notice = bytes("060606060606060606060606b2b22946c17386860c1b2a1911aebebc261e60");
    assert_eq!(key.open(Part::Content, message(), &content).as_deref(), Ok(&b"Hello"[..]));
    assert_eq!(key.open(Part::Notice, message(), &notice).as_deref(), Ok(&b"Hi"[..]));

    let key = bytes(concat!(
        "01aa02bb03cc04dd090909090909090909090909fe738376b4ec7fc5b8b390816618e6f9b3071d8cdf8f",
        "552307c5b1d4c8270273c1b4f01f2610a8199424f6fe7d84fa44"
    ));
    let letter = bytes("0a0a0a0a0a0a0a0a0a0a0a0a843f89ba697eccba6a035ab0f1df95f721ba5a07484488");
    let opened = transit().open_envelope(b"topic/0/7", &key, &letter);
    assert_eq!(opened.as_deref(), Ok(&b"letter"[..]));
}

#[test]
fn what_is_kept_for_a_citizen_opens() {
    let wrapped = bytes(concat!(
        "00112233aabbccdd0202020202020202020202022e4af407cf850690e493be8e9131d46a5094256df838",
        "a221afa655b137c1cfd7f3bab027d2e2330c4e6072148e6de2b0"
    ));
    let keyring = keyring();
    let masters = keyring.masters();
    let citizen = masters.unwrap_citizen(CITIZEN, GENERATION, &wrapped).expect("it opens");

    let kept = bytes(concat!(
        "040404040404040404040404cf1c23256c33c06d1c4ff6f934bfc429734dd6facaa7c315841e23417992",
        "615369b96cc7ead72e8faee29e66b1cef828"
    ));
    let key = citizen.recall(message(), &kept).expect("the kept key opens");
    let content = bytes("0505050505050505050505053a41bc2358ed39876a2c975f502abe9a09dc9f00c9a3");
    assert_eq!(key.open(Part::Content, message(), &content).as_deref(), Ok(&b"Hello"[..]));

    let token = bytes("0707070707070707070707072cac1eb4cba8b4bd29a900d1247a0de61dd2b92546");
    let email =
        bytes("080808080808080808080808e40fee4b264c9f880eb61c1b7df9dea6307e951f6c4b81f12e0b62dc");
    let device = Field::DeviceToken { installation: "phone-1" };
    assert_eq!(citizen.open_field(device, &token).as_deref(), Ok("ff00"));
    assert_eq!(citizen.open_field(Field::EmailAddress, &email).as_deref(), Ok("a@b.example"));
}

#[test]
fn ids_and_tokens_never_change() {
    let keyring = keyring();
    let (tokens, service) = (keyring.tokens(), ServiceId::from("SVC1"));
    for (made, expected) in [
        (tokens.collapse_id(message()), "LbRFSY6NfYJS4fLy9E074g"),
        (tokens.apns_id(message(), "phone-1"), "a955918a-d14c-8d87-8b7d-9ae8a811a378"),
        (tokens.bounce(message()), "01081g81860w40j2gb1g6gw3rgd4de13c15dd72e6b257e"),
        (
            tokens.message_id_header(message(), "a@b.example", "mail.example"),
            "<ccfb7b671b40fd24cc899c60b952c539@mail.example>",
        ),
        (
            tokens.unsubscribe(CITIZEN, &service),
            "yiNfoNMFnF4pfQAnzWBih1Mr870PhjEmfj85ydDXXx4nNEDFUo92SlclflBzKeRE",
        ),
        (
            tokens.mailbox(CITIZEN, GENERATION, "a@b.example", Timestamp(1000)),
            concat!(
                "-n950FBoQ7iV4U-_AOAaSSF-yuDId8dtdXWBGJlLeyQVnwA4lV0I4yxwDZwlum8EAPGp37NEx4utnuFy",
                "eWJN2r1ScEjNeXUJDoHOmGS4NdiXqWv4"
            ),
        ),
    ] {
        assert_eq!(made, expected);
    }
}

#[test]
fn keyed_hashes_never_change() {
    let keyring = keyring();
    let (hashes, service) = (keyring.hashes(), ServiceId::from("SVC1"));
    for (made, expected) in [
        (
            hashes.api_key("an api key").to_string(),
            "bd3f37663cb909b5821fde2f1e5c4fe513dd7e3ed0e18c10a29bbb1f70344008",
        ),
        (
            hex::encode(hashes.idempotency_key(&service, "k-1")),
            "514cc57323ded04d3747ba010d539f07550d4b0464f1045ee6c1c5ed9421a4b1",
        ),
        (
            hex::encode(hashes.body(&service, b"{}")),
            "f26c889ee44edc03325cc1622f83f2343536da01787fd4032bdeb4819c533a39",
        ),
        (hashes.installation(CITIZEN, "phone-1"), "6a53ab54b20e3da134e2c84ff89c6a1f"),
    ] {
        assert_eq!(made, expected);
    }
    let code = "AAAAAA00A00A000A".parse().expect("a sample code");
    let pseudonym = keyring.pepper().pseudonym(&code).to_string();
    assert_eq!(pseudonym, "22618ee0f4a67ad8aac22ed85b80b701");
}

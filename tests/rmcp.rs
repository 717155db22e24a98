//! What the front makes of packets: the ones that clients send, and anything else.

use nsplay::bmc::rmcp::{Packet, opened, read};
use proptest::prelude::*;

/// ipmitool 1.8.19's query for cipher suites: RMCP+, no session, Get Channel Cipher Suites.
const QUERY: [u8; 26] = [
    0x06, 0x00, 0xff, 0x07, 0x06, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0x00, 0x20, 0x18, 0xc8, 0x81,
    0x04, 0x54, 0x0e, 0x00, 0x80, 0x99,
];

/// An RMCP+ packet outside of a session.
fn packet(payload_type: u8, payload: &[u8]) -> Vec<u8> {
    let head = [
        0x06,
        0x00,
        0xff,
        0x07,
        0x06,
        payload_type,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    let length = u16::try_from(payload.len()).unwrap().to_le_bytes();
    [&head[..], &length, payload].concat()
}

/// Open Session for algorithms of authentication, integrity and confidentiality.
fn open(algorithms: [u8; 3]) -> Vec<u8> {
    let [a, b, c] = algorithms;
    let request = [
        7, 0, 0, 0, 0xa0, 0xa1, 0xa2, 0xa3, 0, 0, 0, 8, a, 0, 0, 0, 1, 0, 0, 8, b, 0, 0, 0, 2, 0,
        0, 8, c, 0, 0, 0,
    ];
    packet(0x10, &request)
}

#[test]
fn the_query_for_cipher_suites_is_answered_with_those_that_are_offered() {
    let Packet::CipherSuites(request) = read(&QUERY) else {
        panic!("not recognised");
    };
    let answer = request.cipher_suites();
    // Back to 81h, response of 06h, the query's number and command, success, channel 1.
    let message = &answer[16..];
    assert_eq!(message[..2], [0x81, 0x1c]);
    assert_eq!(message[3..8], [0x20, 0x04, 0x54, 0x00, 0x01]);
    let suites = &message[8..message.len() - 1];
    assert_eq!(suites.len(), 15);
    let numbers: Vec<u8> = suites.chunks(5).map(|record| record[1]).collect();
    assert_eq!(numbers, [1, 2, 3]);
    // Both parts of the message sum up to zero (section 13.8).
    let sum = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    assert_eq!((sum(&message[..3]), sum(&message[3..])), (0, 0));
}

#[test]
fn only_offered_cipher_suites_open_a_session() {
    for algorithms in [[1, 0, 0], [1, 1, 0], [1, 1, 1]] {
        let packet = open(algorithms);
        assert!(matches!(read(&packet), Packet::Open(session) if session.is_offered()));
    }
    for algorithms in [[0, 0, 0], [0, 1, 1], [2, 2, 1], [3, 4, 1], [1, 1, 2]] {
        let packet = open(algorithms);
        let Packet::Open(session) = read(&packet) else {
            panic!("{algorithms:?}: not recognised");
        };
        assert!(!session.is_offered(), "{algorithms:?}");
        // The tag, "no cipher suite match", and the client's number of the session.
        let refusal = session.no_cipher_suite();
        assert_eq!(refusal[16..], [7, 0x11, 0, 0, 0xa0, 0xa1, 0xa2, 0xa3]);
    }
}

#[test]
fn a_wish_for_a_level_is_read_with_its_user_and_session() {
    let mut payload = vec![3, 0, 0, 0, 9, 8, 7, 6];
    payload.extend([0x55; 16]);
    payload.extend([0x14, 0, 0, 4]);
    payload.extend(b"fred");
    let packet = packet(0x12, &payload);
    let Packet::Rakp1(wish) = read(&packet) else {
        panic!("not recognised");
    };
    assert_eq!(
        (wish.user, wish.level, wish.session),
        (&b"fred"[..], 4, [9, 8, 7, 6])
    );
    let refusal = wish.too_high([1, 2, 3, 4]);
    assert_eq!(refusal[16..], [3, 0x09, 0, 0, 1, 2, 3, 4]);
}

#[test]
fn a_packet_of_a_session_that_says_it_is_not_authenticated_is_known_as_such() {
    let mut packet = vec![0x06, 0x00, 0xff, 0x07, 0x00, 1, 0, 0, 0, 0xaa, 0, 0, 0, 7];
    packet.extend([0x20, 0x18, 0xc8, 0x81, 0x04, 0x01, 0x7a]);
    assert_eq!(read(&packet), Packet::Unauthenticated);
    // With MD5 it is a session's, and none of the front's business.
    packet[4] = 0x02;
    assert_eq!(read(&packet), Packet::Other);
}

/// Packets that begin as real ones do, then anything.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        Just(vec![]),
        Just(QUERY[..6].to_vec()),
        Just(QUERY[..16].to_vec()),
        Just(QUERY.to_vec()),
        Just(open([1, 1, 1])[..20].to_vec()),
        Just(packet(0x11, &[0, 0])),
        Just(packet(0x12, &[0; 28])),
        Just(vec![0x06, 0x00, 0xff, 0x07, 0x00]),
    ];
    (head, prop::collection::vec(any::<u8>(), 0..80)).prop_map(|(head, tail)| [head, tail].concat())
}

proptest! {
    #[test]
    fn no_packet_makes_the_front_panic(packet in packets()) {
        let _ = opened(&packet);
        match read(&packet) {
            Packet::CipherSuites(request) => prop_assert!(request.cipher_suites().len() < 64),
            Packet::Challenge(request) => prop_assert!(request.no_session_left().len() < 64),
            Packet::Open(session) => prop_assert_eq!(session.no_session_left().len(), 24),
            Packet::Rakp1(wish) => prop_assert_eq!(wish.too_high([0; 4]).len(), 24),
            Packet::Unauthenticated | Packet::Other => {}
        }
    }

    #[test]
    fn one_changed_byte_in_a_query_is_no_way_in(place in 0_usize..26, value in any::<u8>()) {
        let mut packet = QUERY;
        packet[place] = value;
        // Whatever it is now: it is answered as a query, or passed on.
        let known = matches!(read(&packet), Packet::CipherSuites(_) | Packet::Challenge(_) | Packet::Other | Packet::Unauthenticated);
        prop_assert!(known);
    }
}

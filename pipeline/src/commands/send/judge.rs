//! What an answer means for a row, and whether and when it is sent again. Pure.
//!
//! Precedence: taken > the whole run is wrong > slow down > try again > the row is refused.

use std::time::Duration;

/// First ceiling of the wait after a trouble, doubled at each further one.
const BASE: Duration = Duration::from_millis(500);
/// No ceiling is higher.
const CAP: Duration = Duration::from_secs(30);
/// An endpoint that wants a longer rest is left alone: the run ends and can be gone on with later.
pub const LONGEST_REST: Duration = Duration::from_secs(3_600);
/// "Slow down" is no fault of the row's, yet must end some time.
const MOST_THROTTLED: u32 = 200;
/// So many rows given up without one answered in between mean that the endpoint is gone.
pub const MOST_GIVEN_UP: u32 = 3;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Reply(Reply),
    /// No answer: not reached, cut off or too slow. Whether the row was taken is not known.
    Lost,
}

/// An HTTP answer, as far as it is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// `Retry-After` in either form, or `x-rate-limit-retry-after`.
    pub wait: Option<Duration>,
    /// `id` of the JSON body.
    pub id: Option<String>,
    /// `title` and `detail` of a problem document (RFC 9457).
    pub title: Option<String>,
    pub detail: Option<String>,
}

/// How often a row was sent in vain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// Lost, or answered by 5xx.
    pub troubles: u32,
    /// Answered by 429.
    pub throttled: u32,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Taken {
        id: String,
    },
    /// The row's own fault: its neighbours go on.
    Refused {
        http: u16,
        title: String,
        detail: Option<String>,
    },
    /// The same request under the same key. `everyone`: no other row may start before either.
    Again {
        after: Duration,
        everyone: bool,
    },
    /// Tried as often as allowed; the next run tries it again.
    GivenUp {
        http: Option<u16>,
        title: String,
    },
    /// Nothing else would fare better.
    Stop(Stop),
}

/// Why a run ends before its rows do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    #[error("the endpoint refuses the key (401): see --key-file")]
    Key,
    #[error(
        "the endpoint refuses this client (403 without a reason): it may ask for a certificate"
    )]
    Client,
    #[error("the endpoint answers {0} without a message id: is --url the sender API's?")]
    NotTheApi(u16),
    #[error("the endpoint asks for a rest of {} s", .0.as_secs())]
    Rest(Duration),
    #[error(
        "{MOST_GIVEN_UP} rows in a row were given up: the endpoint does not answer as it should"
    )]
    NoAnswer,
    #[error("the results file cannot be written: {0}")]
    Journal(String),
    #[error("the input cannot be read on: {0}")]
    Input(String),
    #[error("ended by a signal")]
    Asked,
}

/// Judges the answer to a row that was sent in vain `tries` times before. `most` troubles are borne;
/// `jitter` lies in 0..=1.
#[must_use]
pub fn judge(answer: &Answer, tries: Tries, most: u32, jitter: f64) -> Verdict {
    let Answer::Reply(reply) = answer else {
        return trouble(None, None, tries, most, jitter);
    };
    match (reply.status, &reply.id, &reply.title) {
        (200..=299, Some(id), _) => Verdict::Taken { id: id.clone() },
        (401, _, _) => Verdict::Stop(Stop::Key),
        (403, _, None) => Verdict::Stop(Stop::Client),
        // A path that does not exist is answered by a gateway, not by a problem document.
        (..=399 | 404 | 405, _, None) => Verdict::Stop(Stop::NotTheApi(reply.status)),
        (..=399, _, Some(_)) => Verdict::Stop(Stop::NotTheApi(reply.status)),
        (429, _, _) => slow_down(reply.wait, tries, jitter),
        (408 | 500.., _, _) => trouble(Some(reply.status), reply.wait, tries, most, jitter),
        (400..=499, _, title) => Verdict::Refused {
            http: reply.status,
            title: title.clone().unwrap_or_else(|| "Refused without a reason".to_owned()),
            detail: reply.detail.clone(),
        },
    }
}

fn slow_down(wait: Option<Duration>, tries: Tries, jitter: f64) -> Verdict {
    if tries.throttled >= MOST_THROTTLED {
        return Verdict::GivenUp { http: Some(429), title: "Told to slow down too often".into() };
    }
    match wait {
        Some(rest) if rest > LONGEST_REST => Verdict::Stop(Stop::Rest(rest)),
        Some(rest) => Verdict::Again { after: rest, everyone: true },
        None => Verdict::Again { after: drawn(tries.throttled, jitter), everyone: true },
    }
}

fn trouble(
    http: Option<u16>,
    wait: Option<Duration>,
    tries: Tries,
    most: u32,
    jitter: f64,
) -> Verdict {
    if tries.troubles + 1 >= most {
        let title = if http.is_some() { "The endpoint failed" } else { "No answer" };
        return Verdict::GivenUp { http, title: title.to_owned() };
    }
    match wait {
        Some(rest) if rest > LONGEST_REST => Verdict::Stop(Stop::Rest(rest)),
        Some(_) | None => {
            let after = drawn(tries.troubles, jitter).max(wait.unwrap_or_default());
            Verdict::Again { after, everyone: false }
        }
    }
}

/// Full jitter: anywhere between nothing and the ceiling, so that those who failed together do not come
/// back together.
fn drawn(before: u32, jitter: f64) -> Duration {
    BASE.saturating_mul(1 << before.min(16)).min(CAP).mul_f64(jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Tries = Tries { troubles: 0, throttled: 0 };

    fn reply(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    fn problem(status: u16) -> Reply {
        Reply { title: Some("A title".into()), detail: Some("A detail".into()), ..reply(status) }
    }

    fn check(reply: Reply, expected: &Verdict) {
        let verdict = judge(&Answer::Reply(reply.clone()), FIRST, 10, 1.0);
        assert_eq!(verdict, *expected, "{reply:?}");
    }

    fn again(after_ms: u64, everyone: bool) -> Verdict {
        Verdict::Again { after: Duration::from_millis(after_ms), everyone }
    }

    fn seconds(wait: u64, reply: Reply) -> Reply {
        Reply { wait: Some(Duration::from_secs(wait)), ..reply }
    }

    #[test]
    fn an_id_means_taken() {
        let taken = Reply { id: Some("01J".into()), ..problem(201) };
        check(taken.clone(), &Verdict::Taken { id: "01J".into() });
        check(Reply { status: 200, ..taken }, &Verdict::Taken { id: "01J".into() });
    }

    #[test]
    fn success_or_a_way_elsewhere_without_an_id_is_not_the_api() {
        for status in [200, 201, 204, 301, 307] {
            check(reply(status), &Verdict::Stop(Stop::NotTheApi(status)));
            check(problem(status), &Verdict::Stop(Stop::NotTheApi(status)));
        }
        check(reply(404), &Verdict::Stop(Stop::NotTheApi(404)));
        check(reply(405), &Verdict::Stop(Stop::NotTheApi(405)));
    }

    #[test]
    fn a_refused_key_or_client_ends_the_run_and_a_refused_row_does_not() {
        check(reply(401), &Verdict::Stop(Stop::Key));
        check(problem(401), &Verdict::Stop(Stop::Key));
        check(reply(403), &Verdict::Stop(Stop::Client));
        for status in [400, 403, 404, 409, 413, 422] {
            let refused = Verdict::Refused {
                http: status,
                title: "A title".into(),
                detail: Some("A detail".into()),
            };
            check(problem(status), &refused);
        }
        let title = "Refused without a reason".into();
        check(reply(400), &Verdict::Refused { http: 400, title, detail: None });
    }

    #[test]
    fn slow_down_means_everyone_and_as_long_as_was_said() {
        check(seconds(7, reply(429)), &again(7_000, true));
        check(seconds(0, problem(429)), &again(0, true));
        check(reply(429), &again(500, true));
        let rest = LONGEST_REST + Duration::from_secs(1);
        check(seconds(rest.as_secs(), reply(429)), &Verdict::Stop(Stop::Rest(rest)));
    }

    #[test]
    fn trouble_is_waited_out_by_its_own_row() {
        for status in [408, 500, 502, 503, 504] {
            check(reply(status), &again(500, false));
            check(problem(status), &again(500, false));
        }
        check(seconds(9, reply(503)), &again(9_000, false));
        assert_eq!(judge(&Answer::Lost, FIRST, 10, 1.0), again(500, false));
    }

    #[test]
    fn a_row_is_given_up_after_as_many_troubles_as_are_borne() {
        let last = Tries { troubles: 9, throttled: 5 };
        let lost = judge(&Answer::Lost, last, 10, 0.0);
        assert_eq!(lost, Verdict::GivenUp { http: None, title: "No answer".into() });
        let failed = judge(&Answer::Reply(reply(503)), last, 10, 0.0);
        let title = "The endpoint failed".into();
        assert_eq!(failed, Verdict::GivenUp { http: Some(503), title });
        let before = Tries { troubles: 8, throttled: 5 };
        assert_eq!(judge(&Answer::Lost, before, 10, 0.0), again(0, false));
    }

    #[test]
    fn being_told_to_slow_down_burns_no_try_and_ends_some_time() {
        let often = |throttled| {
            let tries = Tries { troubles: 0, throttled };
            judge(&Answer::Reply(seconds(1, reply(429))), tries, 1, 0.0)
        };
        assert_eq!(often(MOST_THROTTLED - 1), again(1_000, true));
        assert!(matches!(often(MOST_THROTTLED), Verdict::GivenUp { http: Some(429), .. }));
    }

    proptest! {
        #[test]
        fn a_wait_lies_between_what_was_asked_and_the_cap(
            troubles in 0_u32..90, floor in 0_u64..3_600, jitter in 0.0..=1.0_f64,
        ) {
            let answer = Answer::Reply(seconds(floor, reply(503)));
            let tries = Tries { troubles, throttled: 0 };
            let Verdict::Again { after, .. } = judge(&answer, tries, 100, jitter) else {
                return Err(TestCaseError::fail("given up too early"));
            };
            let floor = Duration::from_secs(floor);
            prop_assert!(after >= floor && after <= floor.max(CAP));
        }

        #[test]
        fn jitter_is_full(troubles in 0_u32..90) {
            let wait = |jitter| match judge(&Answer::Lost, Tries { troubles, throttled: 0 }, 100, jitter) {
                Verdict::Again { after, .. } => after,
                other @ (Verdict::Taken { .. }
                | Verdict::Refused { .. }
                | Verdict::GivenUp { .. }
                | Verdict::Stop(_)) => panic!("{other:?}"),
            };
            prop_assert_eq!(wait(0.0), Duration::ZERO);
            prop_assert_eq!(wait(0.5) * 2, wait(1.0));
        }

        #[test]
        fn every_status_has_a_verdict_and_only_an_id_is_taken(status in 0_u16..1_000, titled: bool) {
            let bare = if titled { problem(status) } else { reply(status) };
            let verdict = judge(&Answer::Reply(bare), FIRST, 10, 0.5);
            let taken = matches!(verdict, Verdict::Taken { .. });
            prop_assert!(!taken);
        }
    }
}

//! Six hours without a provider, through the whole pipeline, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::ids::{MessageId, Pseudonym, Timestamp};
use schemas::records::{MessageStatus, Reason, Status};
use schemas::topics::Channel;
use simulate::choices::Deed;
use simulate::history::Send;
use simulate::laws::Evidence;
use simulate::people::{PEOPLE, Person, SERVICES};
use simulate::plan::{Blow, Plan};
use simulate::provider::Mood;
use simulate::senders::Wish;
use simulate::universe::{START, Universe};
use simulate::world::{Remains, World};

const MINUTE: Duration = Duration::from_secs(60);
const OUTAGE: Duration = Duration::from_secs(6 * 3_600);
const LONG: Duration = Duration::from_secs(12 * 3_600);
const SHORT: Duration = Duration::from_secs(40 * 60);
const MESSAGES: u64 = 240;

/// What was seen of one message.
struct Seen {
    to: Person,
    time_to_live: Duration,
    accepted: Timestamp,
    events: Vec<MessageStatus>,
    sends: Vec<Send>,
}

impl Seen {
    fn end(&self) -> &MessageStatus {
        self.events.iter().find(|event| event.status.is_final()).expect("one final status")
    }

    fn first_sent(&self, channel: Channel) -> Option<Duration> {
        let sent = self.sends.iter().find(|send| send.channel == channel && send.left);
        sent.map(|send| send.started.at.since(self.accepted))
    }

    fn tries(&self, channel: Channel) -> usize {
        self.sends.iter().filter(|send| send.channel == channel && send.left).count()
    }
}

/// Messages to everybody on board in the first half hour; `away` from the beginning for six hours, then
/// everything is well.
fn world(away: &[Channel]) -> Vec<Seen> {
    let known = PEOPLE.iter().filter(|person| person.on_board);
    let known: Vec<Person> = known.copied().collect();
    let wish = |nth: u64| Wish {
        at: START.plus(Duration::from_secs(10) + nth as u32 * Duration::from_secs(7)),
        nth,
        to: known[nth as usize % known.len()].id,
        service: SERVICES[0],
        time_to_live: if nth.is_multiple_of(3) { SHORT } else { LONG },
        fallback: false,
        secure_channels: false,
        spoilt: false,
        twice: false,
    };
    let mut plan = Plan::calm((0..MESSAGES).map(wish).collect());
    let mood = |channel| if away.contains(&channel) { Mood::Away } else { Mood::Kind };
    let turns = |at, mood: &dyn Fn(Channel) -> Mood| {
        Channel::ALL.map(|channel| (at, Blow::Turn(channel, mood(channel))))
    };
    plan.blows.extend(turns(START, &mood));
    plan.blows.extend(turns(START.plus(OUTAGE), &|_| Mood::Kind));
    for (person, deeds) in PEOPLE.iter().zip(&mut plan.deeds) {
        if person.on_board {
            deeds.push((START.plus(Duration::from_secs(2)), Deed::Unblock(0)));
        }
    }
    seen(&lived(plan))
}

fn lived(plan: Plan) -> Remains {
    let universe = Universe::new(7);
    let mut world = World::new(7, universe, plan, false).expect("a world");
    // A world ends after so many rounds; this one is longer than others.
    let mut ended = false;
    for hour in 1..=13 {
        world.rounds = 0;
        ended = world.run_for(hour * 60 * MINUTE).expect("memory holds");
    }
    Remains {
        happened: world.history.happened(),
        until: world.universe.now(),
        log: world.log,
        store: world.store,
        status: world.status,
        ended,
        left_over: (0, 0),
        rounds: world.rounds,
    }
}

fn seen(remains: &Remains) -> Vec<Seen> {
    let mut evidence = Evidence::gather(remains).expect("memory holds");
    let mut sends: BTreeMap<MessageId, Vec<Send>> = BTreeMap::new();
    for send in &remains.happened.sends {
        sends.entry(send.message).or_default().push(send.clone());
    }
    let person = |id: Pseudonym| *PEOPLE.iter().find(|it| it.id == id).expect("known");
    assert_eq!(evidence.accepted.len() as u64, MESSAGES, "all were taken");
    let accepted = std::mem::take(&mut evidence.accepted).into_values();
    accepted
        .map(|it| Seen {
            to: person(it.citizen),
            time_to_live: it.expires_at.since(it.accepted_at),
            accepted: it.accepted_at,
            events: evidence.events.remove(&it.message_id).unwrap_or_default(),
            sends: sends.remove(&it.message_id).unwrap_or_default(),
        })
        .collect()
}

fn has(person: Person, channel: Channel) -> bool {
    use schemas::records::Platform;
    person.devices.iter().any(|it| match it {
        Platform::Apns => channel == Channel::Apns,
        Platform::Fcm => channel == Channel::Fcm,
    })
}

/// No ten seconds after the outage see more than a fifth of what waited for its end, and a try each is
/// enough.
fn pushed_afterwards_without_a_storm(waited: &[&Seen]) {
    let mut moments: Vec<Duration> = Vec::new();
    for one in waited {
        let sent = one.first_sent(Channel::Apns).expect("pushed in the end");
        let after = one.accepted.plus(sent).since(START.plus(OUTAGE));
        assert_eq!(one.end().status, Status::Notified);
        assert!(after > Duration::ZERO && after < 60 * MINUTE, "{after:?} after the outage");
        assert_eq!(one.tries(Channel::Apns), has_devices(one.to, Channel::Apns));
        moments.push(after);
    }
    moments.sort();
    let within = |from: Duration| {
        moments.iter().filter(|it| **it >= from && **it < from + Duration::from_secs(10)).count()
    };
    let most = moments.iter().map(|from| within(*from)).max().unwrap_or(0);
    assert!(most * 5 <= waited.len(), "{most} of {} within ten seconds", waited.len());
}

fn has_devices(person: Person, channel: Channel) -> usize {
    use schemas::records::Platform;
    let of = |it: &&Platform| matches!((it, channel), (Platform::Apns, Channel::Apns));
    person.devices.iter().filter(of).count()
}

/// Hazard H9, seen in most peers: retries burn out while the provider is down.
#[test]
fn six_hours_without_apns_burn_no_try_and_delay_no_other_channel() {
    let all = world(&[Channel::Apns]);
    let only_apns = |it: &&Seen| has(it.to, Channel::Apns) && !it.to.mailbox;
    for one in all.iter().filter(|it| !only_apns(it)) {
        let end = one.end();
        assert_eq!(end.status, Status::Notified, "{:?}", one.events);
        let waited = end.at.since(one.accepted);
        assert!(waited < MINUTE, "{:?} waited {waited:?}", one.to.devices);
        // A second device that only APNs reaches may still ring, each once.
        assert!(one.tries(Channel::Apns) <= has_devices(one.to, Channel::Apns));
    }
    let (short, long): (Vec<_>, Vec<_>) =
        all.iter().filter(only_apns).partition(|it| it.time_to_live == SHORT);
    assert!(short.len() > 10 && long.len() > 20);
    for one in short {
        assert_eq!((one.end().status, one.end().reason), (Status::Expired, Reason::TimeToLive));
        assert_eq!(one.tries(Channel::Apns), 0, "nothing left, nothing was burnt");
    }
    pushed_afterwards_without_a_storm(&long);
}

#[test]
fn six_hours_without_any_push_mail_everybody_with_a_mailbox_by_the_fallback() {
    let all = world(&[Channel::Apns, Channel::Fcm]);
    let with_mailbox: Vec<_> = all.iter().filter(|it| it.to.mailbox).collect();
    assert!(with_mailbox.len() > 100);
    for one in with_mailbox {
        let fallback = (15 * MINUTE).min(one.time_to_live / 2);
        let mailed = one.first_sent(Channel::Email).expect("mailed");
        assert!(mailed < fallback + Duration::from_secs(30), "mailed after {mailed:?}");
        assert_eq!((one.end().status, one.end().channel), (Status::Notified, Some(Channel::Email)));
        assert_eq!(one.tries(Channel::Email), 1);
    }
    let long: Vec<_> = all.iter().filter(|it| !it.to.mailbox && it.time_to_live == LONG).collect();
    pushed_afterwards_without_a_storm(&long);
}

//! Every proof of `make prove`, at a size that fits. Each starts a stack of its own beside the one that the other
//! tests share; `PROVE_SEED` tries a failure again.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tests::prove::{self, NAMES, Place, Size};

macro_rules! proofs {
    ($($test:ident $name:literal,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let place = Place::of_this_program().unwrap();
                match prove::run($name, Size::Small, &place, prove::seed()).await {
                    Ok(proof) => println!("{}: {}", proof.name, proof.figure),
                    Err(error) => panic!("{error}"),
                }
            }
        )*

        #[test]
        fn every_proof_is_tried_here() {
            assert_eq!([$($name),*], NAMES);
        }
    };
}

proofs! {
    everybody_pays_once_to_the_cent "billing",
    no_event_is_lost_and_none_invented "publish",
    a_poisoned_message_fails_alone "poison",
    one_key_is_one_effect "idempotency",
    racing_refreshes_leave_one_login "refresh",
    no_forged_token_opens_a_door "tokens",
    no_hostile_request_costs_anything "hostile-graphql",
    an_estimate_is_the_bill "tariffs",
    nobody_sees_what_is_anothers "matrix",
    no_card_number_is_kept "pans",
    a_live_feed_tells_all_and_only_what_was_asked "live-feed",
    a_vendor_is_believed_once "webhooks",
    no_slot_is_sold_twice "slots",
    the_rest_api_answers_as_documented "rest-contract",
}

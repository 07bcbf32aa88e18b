//! Answers of the Graph API, and what they mean.

use super::*;

#[test]
fn refusals_are_told_by_the_field_they_are_about() {
    for (code, subcode, expected) in [
        (100, Some(2_388_047), About::Component("HEADER")),
        (100, Some(2_388_072), About::Component("BODY")),
        (100, Some(2_388_073), About::Component("FOOTER")),
        (2_388_293, None, About::Component("BODY")),
        (100, Some(2_388_024), About::Name),
        (100, Some(2_388_040), About::Components),
        (80_007, None, About::Quantity),
        (100, Some(2_593_002), About::Absence),
        (190, Some(463), About::Else),
        (100, None, About::Else),
    ] {
        assert_eq!(about(code, subcode), expected, "{code} {subcode:?}");
    }
}

#[test]
fn the_busiest_part_of_the_quota_counts() {
    let mut headers = HeaderMap::new();
    assert_eq!(usage(&headers), None);
    let told = json!({ "200000000000002": [
        { "type": "whatsapp", "call_count": 28, "total_cputime": 91, "total_time": 25, "estimated_time_to_regain_access": 3 },
        { "type": "messenger", "call_count": 50 } ] });
    headers.insert("x-business-use-case-usage", told.to_string().parse().unwrap());
    assert_eq!(usage(&headers), Some(Usage { percent: 91, regain_minutes: 3 }));
    assert_eq!(wait_sec(&headers), 180);
    headers.insert(RETRY_AFTER, "7".parse().unwrap());
    assert_eq!(wait_sec(&headers), 7);
}

#[test]
fn rows_are_read_leniently() {
    let row = json!({ "id": "1", "name": "a", "language": "en-US", "status": "approved", "category": "SHIPPING_UPDATE",
                      "quality_score": { "score": "GREEN" }, "rejected_reason": "NONE", "components": [] });
    let read = listed(&row).unwrap();
    assert_eq!((read.language.as_str(), &read.listing.status), ("en_US", &Status::Approved));
    assert_eq!(read.listing.category, Some(Category::Other("SHIPPING_UPDATE".into())));
    assert_eq!((read.listing.quality, read.listing.rejection), (Quality::Green, None));
    let bare = listed(&json!({ "name": "a", "language": "he", "rejected_reason": "SCAM" })).unwrap();
    assert_eq!(bare.listing.rejection.and_then(|it| it.reason).as_deref(), Some("SCAM"));
    assert_eq!(listed(&json!({ "name": "a" })), None);
}

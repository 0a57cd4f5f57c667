//! Completion callbacks: where they go, how large they are, and the links that come with them.

use perdure_kernel::{ErrorKind, Limits, ServiceError, ServiceResult};
use perdure_proto::api::common::{Callback, Link, callback::Variant};

use super::{invalid, links};

/// Checks callbacks and brings the names in their headers into lower case.
pub(crate) fn check(callbacks: &mut [Callback], limits: &Limits) -> ServiceResult<()> {
    let count_max = limits.callbacks_per_execution_max;
    if callbacks.len() > count_max {
        return Err(invalid(format!("cannot attach more than {count_max} callbacks to an execution")));
    }
    for callback in callbacks {
        let nexus = match &mut callback.variant {
            Some(Variant::Nexus(nexus)) => nexus,
            Some(Variant::Internal(_)) => {
                return Err(invalid("unsupported callback variant: *common.Callback_Internal_"));
            }
            Some(Variant::NexusHandler(_)) | None => {
                return Err(ServiceError::new(ErrorKind::Unimplemented, "unknown callback variant: <nil>"));
            }
        };
        let length_max = limits.callback_url_length_max;
        if nexus.url.len() > length_max {
            return Err(invalid(format!("invalid url: url length longer than max length allowed of {length_max}")));
        }
        limits.callback_addresses.check(&nexus.url).map_err(invalid)?;
        let size_max = limits.callback_header_size_max;
        let size: usize = nexus.header.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > size_max {
            return Err(invalid(format!("invalid header: header size longer than max allowed size of {size_max}")));
        }
        let header = std::mem::take(&mut nexus.header);
        nexus.header = header.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    }
    Ok(())
}

/// Checks the links of a request together with those of its callbacks. A link that comes with a callback is
/// not the request's own as well.
pub(crate) fn check_links(own: &mut Vec<Link>, callbacks: &[Callback], limits: &Limits) -> ServiceResult<()> {
    if callbacks.iter().all(|callback| callback.links.is_empty()) {
        return links::check(own, limits);
    }
    let nexus = callbacks.iter().filter(|callback| matches!(callback.variant, Some(Variant::Nexus(_))));
    let theirs: Vec<_> = nexus.flat_map(|callback| &callback.links).collect();
    own.retain(|link| !theirs.contains(&link));
    let all: Vec<_> = own.iter().chain(callbacks.iter().flat_map(|callback| &callback.links)).cloned().collect();
    links::check(&all, limits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use perdure_kernel::AddressRule;
    use perdure_proto::api::common::{callback, link};

    use super::*;

    fn limits() -> Limits {
        let rule = AddressRule { pattern: "*".to_owned(), allow_insecure: true };
        Limits { callback_addresses: vec![rule].into(), ..Limits::default() }
    }

    fn nexus(url: &str, header: &[(&str, &str)]) -> Callback {
        let header = header.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let nexus = callback::Nexus { url: url.to_owned(), header };
        Callback { variant: Some(Variant::Nexus(nexus)), ..Default::default() }
    }

    fn text(mut callbacks: Vec<Callback>) -> String {
        check(&mut callbacks, &limits()).unwrap_err().message.into_owned()
    }

    #[test]
    fn callbacks_are_bounded() {
        let many = vec![nexus("http://h/", &[]); 2001];
        assert_eq!(text(many), "cannot attach more than 2000 callbacks to an execution");
        let long = nexus(&"x".repeat(1001), &[]);
        assert_eq!(text(vec![long]), "invalid url: url length longer than max length allowed of 1000");
        let wide = nexus("http://h/", &[("a", &"x".repeat(8192))]);
        assert_eq!(text(vec![wide]), "invalid header: header size longer than max allowed size of 8192");
        assert_eq!(text(vec![Callback::default()]), "unknown callback variant: <nil>");
        let internal =
            Callback { variant: Some(Variant::Internal(callback::Internal::default())), ..Default::default() };
        assert_eq!(text(vec![internal]), "unsupported callback variant: *common.Callback_Internal_");
        assert_eq!(text(vec![nexus("ftp://h", &[])]), "invalid url: unknown scheme: ftp://h");
    }

    #[test]
    fn names_in_headers_are_lower_case() {
        let mut callbacks = [nexus("http://h/", &[("X-My", "V")])];
        check(&mut callbacks, &limits()).unwrap();
        assert_eq!(callbacks, [nexus("http://h/", &[("x-my", "V")])]);
    }

    #[test]
    fn links_of_callbacks_count_and_are_not_the_requests_own() {
        let link = |namespace: &str| {
            let event = link::WorkflowEvent {
                namespace: namespace.to_owned(),
                workflow_id: "w".to_owned(),
                run_id: "r".to_owned(),
                reference: None,
            };
            Link { variant: Some(link::Variant::WorkflowEvent(event)) }
        };
        let with = |links| [Callback { links, ..nexus("http://h/", &[]) }];
        let mut own = vec![link("a"), link("b")];
        check_links(&mut own, &with(vec![link("a"); 6]), &limits()).unwrap();
        assert_eq!(own, [link("b")]);
        let mut own = vec![link("b"); 5];
        let refused = check_links(&mut own, &with(vec![link("a"); 6]), &limits()).unwrap_err();
        assert_eq!(refused.message, "cannot attach more than 10 links per request, got 11");
    }
}

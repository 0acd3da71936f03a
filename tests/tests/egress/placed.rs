//! `--add-host` of names that are allowed: where they lead.

use crate::world::lines;

const RESET: &str = "ConnectionResetError";

#[test]
fn an_allowed_name_leads_where_it_is_said_to_and_nobody_is_asked_for_it() {
    let said = lines(
        r#"$S run --allow db.invalid --allow one.test:80 --allow '*.zone.test' --add-host DB.invalid.:93.184.216.34 --add-host one.test:2606:2800::34 --add-host a.zone.test:93.184.216.77 \
            --add-host a.zone.test:93.184.216.34 --add-host other.test:127.0.0.1 -- python3 -c "$ask" db.invalid:443 one.test:80 a.zone.test:443 other.test:443
        cat queries
        $S run --allow db.invalid --allow one.test:80 -- python3 -c "$ask" db.invalid:443 one.test:80
        $S run --allow db.invalid --add-host db.invalid:93.184.216.34 --add-host other.test:127.0.0.1 -- cat /etc/hosts"#,
    );
    assert_eq!(
        said[..4],
        [
            "443 at 93.184.216.34: hello",
            "80 at 2606:2800::34: hello",
            "443 at 93.184.216.34: hello",
            "ConnectionRefusedError"
        ]
    );
    assert_eq!(said[4..6], [RESET, "80 at 93.184.216.34: hello"], "without it the host is asked, and was not before");
    assert_eq!(said[6..], ["127.0.0.1 localhost", "::1 localhost", "127.0.0.1 other.test"]);
}

#[test]
fn where_it_leads_is_judged_as_what_the_host_says() {
    let said = lines(
        r#"for address in 10.9.9.9 127.0.0.1 93.184.216.99 169.254.169.254; do for allow in allow allow-private; do
            $S run --report report --$allow db.test:80 --add-host db.test:$address -- python3 -c "$ask" db.test:80
            python3 -c 'import json; print([(it["name"], it["special"]) for it in json.load(open("report"))["reach"]["unreached"]])'
        done; done
        $S why --allow db.test:80 --add-host db.test:10.9.9.9 connect db.test:80; $S why --allow-private db.test:80 --add-host db.test:10.9.9.9 connect db.test:80"#,
    );
    let refused = |what: &str| vec![RESET.to_owned(), format!("[('db.test', '{what}')]")];
    let reached = ["80 at 10.9.9.9: hello", "[]"].map(str::to_owned).to_vec();
    let others = ["loopback", "host", "metadata"].map(|what| [refused(what), refused(what)].concat()).concat();
    assert_eq!(said[..16], [refused("private"), reached, others].concat());
    assert_eq!(
        said[16],
        "connect db.test:80: refused: it leads to 10.9.9.9, which is private (--allow-private db.test:80)"
    );
    assert!(said[17].starts_with("connect db.test:80: allowed: db.test is allowed on 80"), "{said:?}");
}

#[test]
fn an_address_behind_a_translator_is_judged_by_the_one_that_it_leads_to_and_takes_a_word() {
    let said = lines(
        r#"for address in 64:ff9b::8.8.8.8 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b::93.184.216.99 64:ff9b:1::8.8.8.8 ::ffff:93.184.216.34; do
        case $address in 64:*) out ip -6 address add $address/128 dev eth0 nodad;; esac
        for allow in allow allow-private; do
            $S run --report report --$allow nat.test:80 --add-host nat.test:$address -- python3 -c "$ask" nat.test:80
            python3 -c 'import json; print([it["special"] for it in json.load(open("report"))["reach"]["unreached"]])'
        done; done"#,
    );
    let refused = |what: &str| vec![RESET.to_owned(), format!("['{what}']")];
    let reached = ["80 at 64:ff9b::808:808: hello", "[]"].map(str::to_owned).to_vec();
    let others = ["loopback", "metadata"].map(|what| [refused(what), refused(what)].concat()).concat();
    let own = [refused("nat64"), refused("host")].concat();
    let translated = [refused("translated"), refused("translated")].concat();
    let expected = [refused("nat64"), reached, others, own, translated.clone(), translated].concat();
    assert_eq!(said, expected);
}

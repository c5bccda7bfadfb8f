//! Text of tasks, plans and machines stays text.

use super::*;

const HOSTILE: &str = "</td><script>alert(1)</script><img src=x onerror=alert(2)> \"q\" 'q' & | `c` [l](javascript:x) \
                       \u{1b}[31mred\u{1b}]0;title\u{7}\u{202e}desrever\u{0}\u{7f} @all http://x.example \\| <b>";

fn hostile() -> Comparison {
    let long = format!("{}{HOSTILE}", "x".repeat(1_000_000));
    let failing = task("t0", 1.0).command(HOSTILE).outcome("failed", Some(1), None).stderr(HOSTILE);
    let a =
        run("runs/<b>", &[task("t0", 1.0), task("t1", 1.0).command(HOSTILE), task("t2", 1.0).command(&long)]);
    let b = run(HOSTILE, &[failing, task("t1", 3.0).command(HOSTILE), task(HOSTILE, 1.0).command(&long)]);
    let mut document = manifest("b");
    document["labels"] = json!({ HOSTILE: HOSTILE });
    document["job_id"] = json!(HOSTILE);
    document["sessions"][0]["hosts"][0]["cpu_model"] = json!(HOSTILE);
    document["sessions"][0]["plan"]["environment"] = json!({ "X": HOSTILE });
    b.write_manifest(&document);
    std::fs::remove_file(a.manifest_path()).unwrap();
    compared(&a, &b)
}

/// Neither controls nor characters that change the order of others.
fn assert_harmless(text: &str) {
    let found = text.chars().find(|character| *character != '\n' && crate::harmless::is_unsafe(*character));
    assert_eq!(found, None);
    assert!(text.len() < 60_000, "{} bytes", text.len());
}

#[test]
fn in_html() {
    let page = html(&hostile());
    let page = body(&page);
    assert_harmless(page);
    for markup in ["<script", "<img", "<b>", "\"q\""] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_eq!(page.matches("</table>").count(), page.matches("<table ").count());
}

#[test]
fn in_markdown() {
    let page = markdown(&hostile());
    assert_harmless(&page);
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut expected = None;
    for line in page.lines() {
        // HOSTILE has a bar: it stands nowhere as code, but escaped.
        let bare = |markup: &str| line.match_indices(markup).any(|(at, _)| !line[..at].ends_with('\\'));
        assert!(!["<script", "<img", "[l]", "@all", "http://"].into_iter().any(bare), "{line}");
        expected = line.starts_with('|').then(|| expected.unwrap_or_else(|| columns(line)));
        assert!(expected.is_none_or(|expected| expected == columns(line)), "{line}");
    }
}

#[test]
fn in_text() {
    let page = text(&hostile(), &TextOptions::default());
    // The styles of headings are ours.
    assert!(!page.contains("\u{1b}[31mred") && !page.contains("title\u{7}"));
    let page = unstyled(&page);
    assert_harmless(&page);
    let longest = page.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(81), "{longest:?}");
    // Of the whole line it is shown where it stood.
    let wide = text(&hostile(), &TextOptions { width: 900, unicode: true });
    assert!(wide.contains("\\u{202e}desrever\\u{0}"));
    assert!(text(&hostile(), &TextOptions { width: 60, unicode: false }).is_ascii());
}

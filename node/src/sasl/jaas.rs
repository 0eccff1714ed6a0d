//! Users from a file in Java's JAAS format, as far as ZooKeeper's operators use it:
//!
//! ```text
//! Server {
//!     org.apache.zookeeper.server.auth.DigestLoginModule required
//!     user_super="secret"
//!     user_bob="another";
//! };
//! ```
//!
//! Pure: the text is given.

use super::Users;
use std::collections::BTreeMap;

const MODULE: &str = "org.apache.zookeeper.server.auth.DigestLoginModule";

/// The users of a section; what is wrong, with its line, if there are none.
pub fn users(text: &str, section: &str) -> Result<Users, String> {
    let mut words = Words {
        rest: text.chars().peekable(),
        line: 1,
    };
    while let Some(name) = words.next()? {
        words.expect("{")?;
        let found = entries(&mut words, name == section)?;
        words.expect(";")?;
        if name == section {
            return match found.is_empty() {
                true => Err(format!(
                    "its section {section} has no user_NAME=\"password\""
                )),
                false => Ok(Users(found)),
            };
        }
    }
    Err(format!("it has no section {section}"))
}

/// The entries of a section up to its end; of one that is not `meant` nothing is taken.
fn entries(words: &mut Words<'_>, meant: bool) -> Result<BTreeMap<String, String>, String> {
    let mut users = BTreeMap::new();
    loop {
        let module = words.need()?;
        if module == "}" {
            return Ok(users);
        }
        if meant && module != MODULE {
            return Err(words.here(&format!("{module}: only {MODULE} is supported")));
        }
        // The flag: required, or another; one module alone decides in any case.
        words.need()?;
        loop {
            let key = words.need()?;
            if key == ";" {
                break;
            }
            words.expect("=")?;
            let value = words.need()?;
            if let Some(name) = key.strip_prefix("user_").filter(|_| meant) {
                users.insert(name.to_owned(), value);
            }
        }
    }
}

struct Words<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
}

impl Words<'_> {
    fn here(&self, problem: &str) -> String {
        format!("line {}: {problem}", self.line)
    }

    fn need(&mut self) -> Result<String, String> {
        match self.next()? {
            Some(word) => Ok(word),
            None => Err(self.here("it ends within a section")),
        }
    }

    fn expect(&mut self, expected: &str) -> Result<(), String> {
        let found = self.need()?;
        match found == expected {
            true => Ok(()),
            false => Err(self.here(&format!("{found:?} stands where {expected:?} should"))),
        }
    }

    /// The next word, value or sign; `None` at the end.
    fn next(&mut self) -> Result<Option<String>, String> {
        self.skip()?;
        let Some(first) = self.take() else {
            return Ok(None);
        };
        match first {
            '{' | '}' | '=' | ';' => Ok(Some(first.to_string())),
            '"' => self.quoted().map(Some),
            _ => {
                let mut word = first.to_string();
                let ends = |c: &char| c.is_whitespace() || "{}=;\"".contains(*c);
                while let Some(c) = self.rest.next_if(|c| !ends(c)) {
                    word.push(c);
                }
                Ok(Some(word))
            }
        }
    }

    fn quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.take() {
                None | Some('\n') => return Err(self.here("a quotation mark is missing")),
                Some('"') => return Ok(text),
                Some('\\') => text.extend(self.take()),
                Some(c) => text.push(c),
            }
        }
    }

    /// White space and comments.
    fn skip(&mut self) -> Result<(), String> {
        loop {
            match self.rest.peek() {
                Some(c) if c.is_whitespace() => {
                    self.take();
                }
                Some('/') => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), String> {
        self.take();
        match self.take() {
            Some('/') => while self.take().is_some_and(|c| c != '\n') {},
            Some('*') => {
                let mut before = ' ';
                loop {
                    match self.take() {
                        None => return Err(self.here("a comment has no end")),
                        Some('/') if before == '*' => break,
                        Some(c) => before = c,
                    }
                }
            }
            _ => return Err(self.here("a slash alone")),
        }
        Ok(())
    }

    fn take(&mut self) -> Option<char> {
        let taken = self.rest.next();
        self.line += usize::from(taken == Some('\n'));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
// Not ours.
Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="x" password="y"; };
/* ours */
Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_super="a\"dm;in"
    debug=true
    user_bob = "b//b" ;
};
Kerberos { com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true; };
"#;

    #[test]
    fn the_users_of_a_section_are_found() {
        let users = users(FILE, "Server").unwrap().0;
        let expected = [("bob", "b//b"), ("super", "a\"dm;in")];
        let found: Vec<_> = users
            .iter()
            .map(|(n, p)| (n.as_str(), p.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, problem) in [
            ("", "no section Server"),
            (FILE.split("Server").next().unwrap(), "no section Server"),
            ("Server {\n};", "has no user_NAME"),
            (
                "Server {\n a.B required;\n};",
                "line 2: a.B: only org.apache",
            ),
            ("Server {\n a", "line 2: "),
            ("Server\n\n[", "line 3: \"[\" stands where \"{\" should"),
            ("/* Server", "a comment has no end"),
            ("Client { a b c=\"\n\"; };", "a quotation mark is missing"),
        ] {
            let found = users(text, "Server").unwrap_err();
            assert!(found.contains(problem), "{found:?} for {text:?}");
        }
        let found = users(FILE, "Kerberos").unwrap_err();
        assert!(found.contains("Krb5LoginModule"), "{found}");
    }
}

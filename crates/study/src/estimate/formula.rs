//! Formulas: numbers, names, `+ - * / ^`, brackets, a few functions, and `measured(...)`.
//!
//! ```text
//!   sum     = product { ("+" | "-") product }
//!   product = power { ("*" | "/") power }
//!   power   = ["-"] atom [ "^" power ]
//!   atom    = number | name | name "(" sum { "," sum } ")" | "(" sum ")"
//!           | "measured(" words of a row ")"
//! ```

/// The value of a formula, or what is wrong with it.
pub(super) fn value(
    formula: &str,
    known: &dyn Fn(&str) -> Option<f64>,
    measured: &dyn Fn(&str) -> Option<f64>,
) -> Result<f64, String> {
    let mut parser = Parser { rest: formula.trim_start(), known, measured };
    let value = parser.sum()?;
    match parser.rest {
        "" if value.is_finite() => Ok(value),
        "" => Err("it is no finite number".to_owned()),
        rest => Err(format!("nobody expects {rest:?}")),
    }
}

struct Parser<'t> {
    /// What is left, without white space before it.
    rest: &'t str,
    known: &'t dyn Fn(&str) -> Option<f64>,
    measured: &'t dyn Fn(&str) -> Option<f64>,
}

impl<'t> Parser<'t> {
    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.eat("+") {
                value += self.product()?;
            } else if self.eat("-") {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.power()?;
        loop {
            if self.eat("*") {
                value *= self.power()?;
            } else if self.eat("/") {
                value /= self.power()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn power(&mut self) -> Result<f64, String> {
        if self.eat("-") {
            return Ok(-self.power()?);
        }
        let base = self.atom()?;
        if self.eat("^") { Ok(base.powf(self.power()?)) } else { Ok(base) }
    }

    fn atom(&mut self) -> Result<f64, String> {
        if self.eat("(") {
            let value = self.sum()?;
            return self.closed(value);
        }
        if self.rest.starts_with(|it: char| it.is_ascii_digit()) {
            return self.number();
        }
        let name = self.take(|it| it.is_ascii_alphanumeric() || it == '_');
        if name.is_empty() {
            return Err(format!("a number or a name is missing before {:?}", self.rest));
        }
        if !self.eat("(") {
            return (self.known)(name).ok_or_else(|| format!("nothing is called {name}"));
        }
        if name == "measured" {
            let row = self.take(|it| it != ')');
            let value = (self.measured)(row);
            let value = value.ok_or_else(|| format!("the record has no row {row:?}"))?;
            return self.closed(value);
        }
        let mut arguments = vec![self.sum()?];
        while self.eat(",") {
            arguments.push(self.sum()?);
        }
        let value = call(name, &arguments);
        let count = arguments.len();
        self.closed(value.ok_or_else(|| format!("there is no {name} of {count} numbers"))?)
    }

    /// Digits, which may be parted by `_`, with a point and an exponent.
    fn number(&mut self) -> Result<f64, String> {
        let is_part = |it: char| it.is_ascii_digit() || it == '.' || it == '_' || it == 'e';
        let text = self.take(is_part);
        let number = text.replace('_', "").parse();
        number.map_err(|_| format!("{text:?} is no number"))
    }

    fn closed(&mut self, value: f64) -> Result<f64, String> {
        if self.eat(")") { Ok(value) } else { Err("a bracket is not closed".to_owned()) }
    }

    fn eat(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|it| !is_part(it)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        taken
    }
}

fn call(name: &str, arguments: &[f64]) -> Option<f64> {
    Some(match (name, arguments) {
        ("ceil", [it]) => it.ceil(),
        ("floor", [it]) => it.floor(),
        ("ln", [it]) => it.ln(),
        ("log2", [it]) => it.log2(),
        ("exp", [it]) => it.exp(),
        ("power2", [it]) => it.log2().ceil().exp2(),
        ("min", [one, other]) => one.min(*other),
        ("max", [one, other]) => one.max(*other),
        _ => return None,
    })
}

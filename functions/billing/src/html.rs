//! The words and the look of an invoice on paper. Every value is escaped on its way into the page.

use std::fmt::{self, Display, Formatter, Write};

use chrono::NaiveDate;
use rust_decimal::Decimal;
use shared::{Money, Timestamp};

use crate::invoices::{InvoiceKind, InvoiceLine, InvoiceStatus};
use crate::page::{Customer, Method, Printable, Seller};

/// All that a page looks by; its hash is what the browser is allowed to apply.
pub(crate) const STYLE: &str = "
:root { color-scheme: light; }
body { margin: 2rem auto; max-width: 48rem; padding: 0 1rem; color: #111; background: #fff;
  font: 1rem/1.5 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 1rem; justify-content: space-between; }
h1 { margin: 0; font-size: 1.6rem; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .25rem; }
address { font-style: normal; white-space: pre-line; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 1rem 0; }
dt { color: #444; }
dd { margin: 0; }
table { width: 100%; border-collapse: collapse; margin: 1.5rem 0; }
caption { text-align: left; font-weight: 600; padding-bottom: .25rem; }
th, td { padding: .35rem .5rem; text-align: right; border-bottom: 1px solid #bbb; font-variant-numeric: tabular-nums; }
th { font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
tfoot tr:last-child th, tfoot tr:last-child td { border-bottom: 2px solid #111; font-weight: 700; }
@media print { @page { margin: 2cm; } body { margin: 0; max-width: none; padding: 0; } tr { break-inside: avoid; } }
";

/// A value within HTML text or an attribute in double quotes.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        struct Escaper<'a, 'b>(&'a mut Formatter<'b>);
        impl Write for Escaper<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                text.chars().try_for_each(|c| match c {
                    '&' => self.0.write_str("&amp;"),
                    '<' => self.0.write_str("&lt;"),
                    '>' => self.0.write_str("&gt;"),
                    '"' => self.0.write_str("&quot;"),
                    '\'' => self.0.write_str("&#39;"),
                    other => self.0.write_char(other),
                })
            }
        }
        write!(Escaper(f), "{}", self.0)
    }
}

/// A page that says why there is no invoice on it.
pub(crate) struct NoticeHtml<'a> {
    pub(crate) title: &'a str,
    pub(crate) why: &'a str,
}

impl Display for NoticeHtml<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, self.title)?;
        write!(f, "<h1>{}</h1>\n<p>{}</p>\n", Escaped(self.title), Escaped(self.why))?;
        f.write_str(FOOT)
    }
}

/// An invoice or a credit note.
pub(crate) struct InvoiceHtml<'a> {
    pub(crate) seller: &'a Seller,
    pub(crate) printable: &'a Printable,
}

const FOOT: &str = "</main>\n</body>\n</html>\n";

fn head(f: &mut Formatter<'_>, title: &str) -> fmt::Result {
    write!(
        f,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n",
        Escaped(title)
    )
}

impl Display for InvoiceHtml<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let invoice = &self.printable.invoice;
        let title = match invoice.kind {
            InvoiceKind::CreditNote => format!("Credit note {}", invoice.number),
            InvoiceKind::Session | InvoiceKind::Subscription | InvoiceKind::Booking => {
                format!("Invoice {}", invoice.number)
            }
        };
        head(f, &title)?;
        writeln!(f, "<header>\n<h1>{}</h1>", Escaped(&title))?;
        let Seller { name, address, vat_id } = self.seller;
        writeln!(
            f,
            "<address><strong>{}</strong>\n{}\nVAT ID {}</address>\n</header>",
            Escaped(name),
            Escaped(address),
            Escaped(vat_id)
        )?;
        self.particulars(f)?;
        self.lines(f)?;
        self.payment(f)?;
        f.write_str(FOOT)
    }
}

impl InvoiceHtml<'_> {
    fn particulars(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Printable { invoice, customer, corrects, supplied_at, .. } = self.printable;
        f.write_str("<dl>\n")?;
        entry(f, "Number", &invoice.number)?;
        entry(f, "Date", day(invoice.created_at))?;
        if let Some(at) = supplied_at {
            entry(f, "Date of supply", day(*at))?;
        }
        match customer {
            Customer::Known { name, email } => {
                entry(f, "Customer", name)?;
                entry(f, "E-mail", email)?;
            }
            Customer::Deleted => entry(f, "Customer", "deleted account")?,
            Customer::Withheld => entry(f, "Customer", "withheld")?,
        }
        if let Some(session) = invoice.session_id {
            entry(f, "Charging session", session)?;
        }
        if let Some(subscription) = invoice.subscription_id {
            entry(f, "Flat rate", subscription)?;
        }
        if let Some(booking) = invoice.booking_id {
            entry(f, "Booking", booking)?;
        }
        f.write_str("</dl>\n")?;
        if let Some(number) = corrects {
            let number = Escaped(number);
            writeln!(
                f,
                "<p>This credit note corrects invoice {number}: the total below is credited to you.</p>"
            )?;
        }
        Ok(())
    }

    fn lines(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let invoice = &self.printable.invoice;
        f.write_str(
            "<table>\n<caption>Prices include VAT</caption>\n<thead>\n<tr><th scope=\"col\">Description</th>\
             <th scope=\"col\">Quantity</th><th scope=\"col\">Unit price</th><th scope=\"col\">Amount</th></tr>\n\
             </thead>\n<tbody>\n",
        )?;
        for InvoiceLine { description, quantity, unit, unit_price, amount } in &invoice.lines {
            writeln!(
                f,
                "<tr><td>{}</td><td>{quantity} {}</td><td>{}</td><td>{}</td></tr>",
                Escaped(description),
                Escaped(unit),
                Escaped(Money::new(*unit_price, amount.currency())),
                Escaped(amount.rounded())
            )?;
        }
        f.write_str("</tbody>\n<tfoot>\n")?;
        let vat = format!("VAT {} %", (invoice.vat_rate * Decimal::ONE_HUNDRED).normalize());
        for (label, amount) in [("Net", invoice.net), (&vat, invoice.vat), ("Total", invoice.amount)] {
            writeln!(
                f,
                "<tr><th scope=\"row\" colspan=\"3\">{}</th><td>{}</td></tr>",
                Escaped(label),
                Escaped(amount.rounded())
            )?;
        }
        f.write_str("</tfoot>\n</table>\n")
    }

    fn payment(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Printable { invoice, method, paid_at, paid, credit_notes, .. } = self.printable;
        if invoice.kind == InvoiceKind::CreditNote {
            return Ok(());
        }
        f.write_str("<h2>Payment</h2>\n<dl>\n")?;
        let status = match invoice.status {
            InvoiceStatus::Pending => "To be paid",
            InvoiceStatus::Paid => "Paid",
            InvoiceStatus::Overdue => "Overdue",
            InvoiceStatus::Refunded if paid.amount().is_zero() => "Taken back, nothing to pay",
            InvoiceStatus::Refunded => "Paid and given back",
        };
        entry(f, "Status", status)?;
        if let Some(method) = method {
            let how = match method {
                Method::Wallet => "from the wallet",
                Method::Card => "by card",
                Method::WalletAndCard => "from the wallet and by card",
                Method::None => "nothing to pay",
            };
            let on = paid_at.map(|at| format!(" on {}", day(at))).unwrap_or_default();
            entry(f, "Paid", format!("{}{on}, {how}", paid.rounded()))?;
        }
        if !invoice.due.amount().is_zero() {
            entry(f, "Due", format!("{} by {}", invoice.due.rounded(), invoice.due_date))?;
        }
        for note in credit_notes {
            let back = Money::new(-note.amount.amount(), note.amount.currency()).rounded();
            entry(f, "Credited", format!("{back}, credit note {}", note.number))?;
        }
        f.write_str("</dl>\n")
    }
}

fn entry(f: &mut Formatter<'_>, term: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "<dt>{term}</dt><dd>{}</dd>", Escaped(value))
}

/// The day of a moment, in UTC as the numbers' years are.
fn day(at: Timestamp) -> NaiveDate {
    at.date_naive()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn nothing_that_is_escaped_is_markup() {
        let hostile = r#"<script>alert("&amp;")</script><img src=x onerror='x'>"#;
        let escaped = Escaped(hostile).to_string();
        assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
        assert_eq!(
            Escaped("a < b & \"c\" > 'd'").to_string(),
            "a &lt; b &amp; &quot;c&quot; &gt; &#39;d&#39;"
        );
        let notice = NoticeHtml { title: hostile, why: hostile }.to_string();
        assert!(!notice.contains("<script") && !notice.contains("<img"), "{notice}");
    }

    #[test]
    fn the_style_cannot_end_its_element() {
        assert!(!STYLE.contains('<'));
    }
}

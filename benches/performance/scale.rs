//! Whether a request costs more where there are many virtual hosts, or many locations with access tokens.

use std::thread;

use crate::callgrind::Metered;
use crate::cases;
use crate::common::{Builder, Vhost};
use crate::instructions::{REQUESTS, Requests};
use crate::report::{Table, number};
use crate::subject::{self, Module, Shape};

const COUNTS: [usize; 3] = [1, 100, 1_000];

pub fn tables(_long: bool) -> Vec<Table> {
    vec![
        table("hosts", "token-binding", "virtual hosts", &hosts),
        table("locations", "bearer", "locations", &locations),
    ]
}

fn table(
    name: &'static str,
    case: &'static str,
    what: &str,
    more: &(dyn Fn(Builder, usize, Module) -> Builder + Sync),
) -> Table {
    let mut table = Table::new(name, &[what, "without", "with", "added"]);
    for count in COUNTS {
        let side =
            |module| requests(case, module, more(subject::server(module, Shape::One), count - 1, module));
        let (without, with) = thread::scope(|scope| {
            let without = scope.spawn(|| side(Module::Nothing));
            let with = side(Module::Ours);
            (without.join().expect("the other side"), with)
        });
        #[allow(clippy::cast_precision_loss)] // small
        table.row(&[count as f64, without, with, with - without].map(number));
        eprintln!("{count} {what}: {:.0} instructions added", with - without);
    }
    table
}

/// Instructions of a request.
fn requests(case: &str, module: Module, builder: Builder) -> f64 {
    let case = cases::by_name(case);
    let server = Metered::start(builder);
    server.count(REQUESTS, None, &mut Requests::proved(module, case, &server.httpd)).0.all
}

/// The first hundred have TLS of their own, on the port of the host that is asked. Under callgrind it takes httpd minutes to
/// make TLS ready for a thousand.
fn hosts(builder: Builder, count: usize, _module: Module) -> Builder {
    let host = |number: usize| {
        let name = format!("h{number}.test");
        if number < 100 { Vhost::tls(&name) } else { Vhost::plain(&name) }
    };
    (0..count).fold(builder, |builder, number| builder.vhost(host(number)))
}

/// Each wants access tokens; another one is asked.
fn locations(builder: Builder, count: usize, module: Module) -> Builder {
    let mut lines = String::new();
    for number in 0..count {
        lines += &subject::place(&format!("/place{number}"), module, "");
    }
    builder.config(&lines)
}

//! A client with HTTP/1.1, one connection at a time.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokbind::http1::{Client, Error};
use tokbind::tls::{Blocking, TlsConnection};

use crate::common::exchange::Answer;
use crate::record::Record;
use crate::visit::{Ask, Cast, Dice, Visit};

struct Connection {
    client: Client<TlsConnection<Blocking>>,
    /// `Sec-Token-Binding`
    message: Option<String>,
    /// It has had an answer.
    served: bool,
}

/// Until the record says that it is over.
pub fn client(address: SocketAddr, cast: &Cast, record: &Record, number: usize) {
    let mut dice = Dice::new(number);
    while !record.is_over() {
        let visit = cast.visit(&mut dice, false, number == 0);
        let mut connection = None;
        for ask in &visit.asks {
            let _waits = record.exchange();
            connection = perform(address, cast, record, &visit, ask, connection);
        }
    }
}

/// One request and its answer; the connection is given back as long as it can be used.
fn perform(
    address: SocketAddr,
    cast: &Cast,
    record: &Record,
    visit: &Visit,
    ask: &Ask,
    mut kept: Option<Connection>,
) -> Option<Connection> {
    loop {
        let begin = record.begin();
        let mut connection = match kept.take().map_or_else(|| open(address, visit), Ok) {
            Ok(connection) => connection,
            Err(error) => {
                record.lost(begin, format_args!("no connection for {}: {error}", ask.path));
                return None;
            }
        };
        match connection.exchange(cast, ask) {
            Ok(answer) => {
                record.judge(ask, &answer);
                connection.served = true;
                if let (200, Some(message)) = (answer.status, &connection.message) {
                    Ask::leave_to_thieves(cast, message);
                }
                return (answer.header("Connection") != Some("close")).then_some(connection);
            }
            Err(error) if connection.served && was_closed(&error) => record.reopened(),
            Err(error) => {
                record.lost(begin, format_args!("no answer to {}: {error}", ask.path));
                return None;
            }
        }
    }
}

/// Not: no answer came in time.
fn was_closed(error: &Error) -> bool {
    match error {
        Error::Io(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        other => matches!(other, Error::Closed),
    }
}

fn open(address: SocketAddr, visit: &Visit) -> Result<Connection, String> {
    let stream = visit.connector.connect(address, "localhost").map_err(|error| error.to_string())?;
    let message = visit.message(&stream.ekm().map_err(|error| error.to_string())?);
    Ok(Connection { client: Client::new(stream), message, served: false })
}

impl Connection {
    fn exchange(&mut self, cast: &Cast, ask: &Ask) -> Result<Answer, Error> {
        let fields = ask.fields(cast, self.message.as_deref());
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n", ask.path);
        self.client.exchange(request).map(Answer::from)
    }
}

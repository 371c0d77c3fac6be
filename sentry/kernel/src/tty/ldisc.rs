//! The line discipline: what becomes of each byte that is typed or written (`termios(3)`).

use super::{BUFFER, Effects, INPUT_MAX, State};
use abi::{
    Signal,
    tty::{
        InputFlags, LocalFlags, OutputFlags, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VQUIT,
        VREPRINT, VSTART, VSTOP, VSUSP, VWERASE,
    },
};

const TAB: usize = 8;

impl State {
    fn local(&self, flag: LocalFlags) -> bool {
        self.termios.local().contains(flag)
    }

    /// Whether `byte` is the control character `which`, which 0 disables.
    fn is(&self, byte: u8, which: usize) -> bool {
        byte != 0 && self.termios.c_cc.get(which) == Some(&byte)
    }

    /// One byte arrives.
    pub(super) fn input_byte(&mut self, mut byte: u8, effects: &mut Effects) {
        if self.input_flag(InputFlags::ISTRIP) {
            byte &= 0x7f;
        }
        if self.input_flag(InputFlags::IUCLC) && self.local(LocalFlags::IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if std::mem::take(&mut self.literal_next) {
            return self.take_byte(byte, false);
        }
        if self.input_flag(InputFlags::IXON) {
            if self.is(byte, VSTART) {
                self.stopped = false;
                return;
            }
            if self.is(byte, VSTOP) {
                self.stopped = true;
                return;
            }
            if self.stopped && self.input_flag(InputFlags::IXANY) {
                self.stopped = false;
            }
        }
        if self.local(LocalFlags::ISIG) {
            let signal = match byte {
                b if self.is(b, VINTR) => Some(Signal::SIGINT),
                b if self.is(b, VQUIT) => Some(Signal::SIGQUIT),
                b if self.is(b, VSUSP) => Some(Signal::SIGTSTP),
                _ => None,
            };
            if let Some(signal) = signal {
                if !self.local(LocalFlags::NOFLSH) {
                    // Output stays: what was written to a pseudoterminal is with its master at once.
                    self.flush_input();
                }
                self.stopped = false;
                self.echo(byte);
                effects.signals.push(signal);
                return;
            }
        }
        match byte {
            b'\r' if self.input_flag(InputFlags::IGNCR) => return,
            b'\r' if self.input_flag(InputFlags::ICRNL) => byte = b'\n',
            b'\n' if self.input_flag(InputFlags::INLCR) => byte = b'\r',
            _ => {}
        }
        if self.canonical() { self.edit(byte) } else { self.take_byte(byte, false) }
    }

    /// One byte in canonical mode, where lines are edited.
    fn edit(&mut self, byte: u8) {
        let extended = self.local(LocalFlags::IEXTEN);
        if self.is(byte, VERASE) {
            return self.erase(1);
        }
        if extended && self.is(byte, VWERASE) {
            let text = &self.editing;
            let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80;
            let end = text.iter().rposition(word).map_or(0, |at| at + 1);
            let start = text.iter().take(end).rposition(|b| !word(b)).map_or(0, |at| at + 1);
            return self.erase(text.len() - start);
        }
        if self.is(byte, VKILL) {
            if self.local(LocalFlags::ECHOK)
                && !(self.local(LocalFlags::ECHOKE) && self.local(LocalFlags::ECHOE))
            {
                self.editing.clear();
                self.echo(byte);
                return self.echo_plain(b'\n');
            }
            return self.erase(self.editing.len());
        }
        if extended && self.is(byte, VLNEXT) {
            self.literal_next = true;
            if self.local(LocalFlags::ECHO) && self.local(LocalFlags::ECHOCTL) {
                self.put(b'^');
                self.put(b'\x08');
            }
            return;
        }
        if extended && self.is(byte, VREPRINT) {
            self.echo(byte);
            self.echo_plain(b'\n');
            for b in self.editing.clone() {
                self.echo(b);
            }
            return;
        }
        if self.is(byte, VEOF) {
            return self.end_line();
        }
        let ends = byte == b'\n' || self.is(byte, VEOL) || extended && self.is(byte, VEOL2);
        self.take_byte(byte, ends);
    }

    /// Keeps a byte for readers, echoed.
    fn take_byte(&mut self, byte: u8, ends_line: bool) {
        if self.canonical() {
            // The last place is kept for the end of the line.
            if self.editing.len() + self.input.len() >= INPUT_MAX - 1 && !ends_line {
                if self.input_flag(InputFlags::IMAXBEL) {
                    self.put(b'\x07');
                }
                return;
            }
            if self.editing.is_empty() {
                self.edit_column = self.column;
            }
            self.editing.push(byte);
        } else {
            self.input.push_back(byte);
        }
        if byte == b'\n'
            && (self.local(LocalFlags::ECHO) || self.local(LocalFlags::ECHONL) && self.canonical())
        {
            self.echo_plain(b'\n');
        } else {
            self.echo(byte);
        }
        if ends_line {
            self.end_line();
        }
    }

    /// The line that is being edited becomes readable.
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.editing);
        self.lines.push_back(line.len());
        self.input.extend(line);
    }

    /// Between modes: what was edited becomes readable at once, or what was readable becomes one line.
    pub(super) fn change_mode(&mut self, was_canonical: bool) {
        match (was_canonical, self.canonical()) {
            (true, false) => {
                let line = std::mem::take(&mut self.editing);
                self.input.extend(line);
                self.lines.clear();
            }
            (false, true) if !self.input.is_empty() => self.lines = [self.input.len()].into(),
            _ => {}
        }
    }

    /// Takes back the last `count` characters of the line.
    fn erase(&mut self, count: usize) {
        for _ in 0..count {
            let Some(byte) = self.editing.pop() else { return };
            // The bytes of one character of UTF-8 go together.
            if byte & 0xc0 == 0x80 {
                while self.editing.last().is_some_and(|b| b & 0xc0 == 0x80) {
                    self.editing.pop();
                }
                self.editing.pop();
            }
            if !self.local(LocalFlags::ECHO) {
                continue;
            }
            if !self.local(LocalFlags::ECHOE) {
                let erase = self.termios.c_cc.get(VERASE).copied().unwrap_or(0);
                self.echo(erase);
                continue;
            }
            let width = self.width_to_undo(byte);
            for _ in 0..width {
                for b in *b"\x08 \x08" {
                    self.put(b);
                }
            }
            self.column = self.column.saturating_sub(width);
        }
    }

    /// Columns that the character `byte`, just taken back, had taken.
    fn width_to_undo(&self, byte: u8) -> usize {
        match byte {
            b'\t' => {
                let mut column = self.edit_column;
                for b in &self.editing {
                    column += match b {
                        b'\t' => TAB - column % TAB,
                        b if b & 0xc0 == 0x80 => 0,
                        b if b.is_ascii_control() => 2,
                        _ => 1,
                    };
                }
                TAB - column % TAB
            }
            b if b.is_ascii_control() => 2 * usize::from(self.local(LocalFlags::ECHOCTL)),
            _ => 1,
        }
    }

    /// Shows a typed byte.
    fn echo(&mut self, byte: u8) {
        if !self.local(LocalFlags::ECHO) {
            return;
        }
        let shown_as_control = byte.is_ascii_control() && byte != b'\t' && byte != b'\n';
        if shown_as_control && self.local(LocalFlags::ECHOCTL) {
            self.put(b'^');
            self.put(byte ^ 0x40);
            self.column += 2;
        } else {
            self.output_byte(byte);
        }
    }

    fn echo_plain(&mut self, byte: u8) {
        self.output_byte(byte);
    }

    /// One byte is written: output processing.
    pub(super) fn output_byte(&mut self, byte: u8) {
        let has = |flag| self.termios.output().contains(flag);
        if !has(OutputFlags::OPOST) {
            return self.put(byte);
        }
        match byte {
            b'\n' => {
                if has(OutputFlags::ONLCR) {
                    self.put(b'\r');
                }
                self.put(b'\n');
                self.column = 0;
            }
            b'\r' if has(OutputFlags::ONOCR) && self.column == 0 => {}
            b'\r' if has(OutputFlags::OCRNL) => {
                self.put(b'\n');
                self.column = 0;
            }
            b'\r' => {
                self.put(b'\r');
                self.column = 0;
            }
            b'\t' => {
                let width = TAB - self.column % TAB;
                self.column += width;
                if self.termios.output().contains(OutputFlags::TABDLY) {
                    (0..width).for_each(|_| self.put(b' '));
                } else {
                    self.put(b'\t');
                }
            }
            b'\x08' => {
                self.column = self.column.saturating_sub(1);
                self.put(byte);
            }
            _ => {
                let shown = if has(OutputFlags::OLCUC) { byte.to_ascii_uppercase() } else { byte };
                if !byte.is_ascii_control() && byte & 0xc0 != 0x80 {
                    self.column += 1;
                }
                self.put(shown);
            }
        }
    }

    /// Queues a byte for the far side; echoes that nobody reads are lost rather than kept without bound.
    fn put(&mut self, byte: u8) {
        if self.output.len() < BUFFER {
            self.output.push_back(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Far, Tty};
    use mem::IoDst;

    fn typed(text: &[u8]) -> (Vec<u8>, String) {
        let tty = Tty::new(Far::Master, None);
        tty.receive(text);
        let mut read = Vec::new();
        let mut buffer = [0u8; 100];
        while let Ok(n @ 1..) = tty.read(&mut IoDst::bytes(&mut buffer)) {
            read.extend_from_slice(&buffer[..n]);
        }
        let shown = tty.state.lock().output.iter().copied().collect();
        (read, String::from_utf8(shown).unwrap())
    }

    #[test]
    fn lines_are_edited_and_echoed_as_linux_does() {
        assert_eq!(typed(b"abc\r"), (b"abc\n".to_vec(), "abc\r\n".into()));
        assert_eq!(typed(b"abx\x7fc\n"), (b"abc\n".to_vec(), "abx\x08 \x08c\r\n".into()));
        assert_eq!(typed(b"one two\x17x\n").0, b"one x\n");
        assert_eq!(typed(b"ab\x15c\n").0, b"c\n");
        assert_eq!(typed(b"not ended"), (b"".to_vec(), "not ended".into()));
        assert_eq!(typed(b"a\x16\x03b\n"), (b"a\x03b\n".to_vec(), "a^\x08^Cb\r\n".into()));
        assert_eq!(typed(b"gone\x03kept\n"), (b"kept\n".to_vec(), "gone^Ckept\r\n".into()));
    }
}

//! `#!` lines (`execve(2)`, "Interpreter scripts").

use super::Program;
use abi::Errno;
use std::sync::Arc;
use vfs::File;

/// Linux's `BINPRM_BUF_SIZE`: what is looked at of a file.
pub const HEAD: usize = 256;

/// What a `#!` line names.
#[derive(Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The program.
    pub path: Vec<u8>,
    /// All that follows, as one argument.
    pub argument: Option<Vec<u8>>,
}

/// Reads the first line; `None` where it is not a `#!` line. `ENOEXEC` if it names nothing or was cut in its path.
pub fn parse(head: &[u8]) -> Result<Option<Interpreter>, Errno> {
    let Some(rest) = head.strip_prefix(b"#!") else { return Ok(None) };
    let end = rest.iter().position(|b| *b == b'\n');
    let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let ended = |b: &u8| blank(b) || *b == 0;
    let start = line.iter().position(|b| !blank(b)).ok_or(Errno::ENOEXEC)?;
    let line = line.get(start..).unwrap_or_default();
    let path_end = line.iter().position(ended);
    if path_end.is_none() && end.is_none() && head.len() == HEAD {
        return Err(Errno::ENOEXEC); // the path goes on behind what was read
    }
    let (path, rest) = line.split_at(path_end.unwrap_or(line.len()));
    if path.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let rest = rest.split(|b| *b == 0).next().unwrap_or_default();
    let argument = rest.trim_ascii();
    let argument = (!argument.is_empty()).then(|| argument.to_vec());
    Ok(Some(Interpreter { path: path.to_vec(), argument }))
}

/// Makes `program` the execution of its interpreter.
pub fn apply(program: &mut Program, interpreter: Interpreter, file: Arc<File>) {
    let mut argv = vec![interpreter.path.clone()];
    argv.extend(interpreter.argument);
    argv.push(std::mem::take(&mut program.path));
    argv.extend(std::mem::take(&mut program.argv).into_iter().skip(1));
    program.argv = argv;
    program.path = interpreter.path;
    program.file = file;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Option<(String, Option<String>)>, Errno> {
        let string = |b: Vec<u8>| String::from_utf8(b).unwrap();
        Ok(parse(text.as_bytes())?.map(|i| (string(i.path), i.argument.map(string))))
    }

    #[test]
    fn lines_are_read_as_linux_reads_them() {
        assert_eq!(line("#!/bin/sh\necho"), Ok(Some(("/bin/sh".into(), None))));
        assert_eq!(
            line("#!  /usr/bin/env  -S a b \nx"),
            Ok(Some(("/usr/bin/env".into(), Some("-S a b".into()))))
        );
        assert_eq!(line("\x7fELF"), Ok(None));
        assert_eq!(line("#!   \n"), Err(Errno::ENOEXEC));
        assert_eq!(line(&format!("#!/{}", "x".repeat(300)[..253].to_owned())), Err(Errno::ENOEXEC));
    }
}

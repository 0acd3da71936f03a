//! What the kernel answers when it refuses.

use core::fmt;
use linux_raw_sys::errno;

/// A positive error number, errno(3), as the kernel returned it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub u16);

/// The answer of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

macro_rules! names {
    ($($name:ident)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: Errno = Errno(errno::$name as u16);)*

            /// The symbol, such as `"EPERM"`; `None` for a number that errno(3) does not list.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 as u32 {
                    $(errno::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// The number of a symbol such as `"EPERM"`.
            pub fn from_name(name: &str) -> Option<Errno> {
                match name {
                    $(stringify!($name) => Some(Errno::$name),)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY
    EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK
    EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENODATA ETIME EPROTO EBADMSG
    EOVERFLOW ELIBBAD EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT
    ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH
    ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTUNREACH EALREADY EINPROGRESS ESTALE
    EUCLEAN EDQUOT ECANCELED ETOOMANYREFS ESHUTDOWN EHOSTDOWN ENETRESET ECONNABORTED EILSEQ EIDRM ENOMSG ENOLINK ECOMM
    EREMOTEIO ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ENOMEDIUM EMEDIUMTYPE EBADFD
}

impl Errno {
    /// Splits a raw answer into value and error.
    #[inline(always)]
    pub(crate) const fn check(answer: isize) -> Result<usize> {
        if answer < 0 { Err(Errno(-answer as u16)) } else { Ok(answer as usize) }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

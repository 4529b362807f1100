"""Every sentence of PEP 3333 that says what must or should be, in its order, in few words of ours, with whom it binds.

Those that bind a server have rules (in `areas`), or a reason why they have none. Those that bind an application or a
middleware are here so that none is forgotten; where a server has to notice their breach, that is a sentence of its own.
Left out is where either word is a turn of speech ("it should be mentioned"), and what the PEP asks its readers.
"""

from dataclasses import dataclass

from .rule import BEYOND, MUST, SHOULD, STATED

SERVER, APPLICATION, MIDDLEWARE, NOBODY = "server", "application", "middleware", "nobody"


@dataclass(frozen=True)
class Sentence:
    """One sentence, or several that say the same in the same section."""

    name: str
    section: str
    binds: str
    level: str
    words: str
    #: Why a sentence that binds a server has no rule.
    untested: str = ""


def _section(title, *sentences):
    return tuple(Sentence(name, title, binds, level, words, *more) for binds, level, name, words, *more in sentences)


_OBSOLETE = "it is about versions of Python before 2.2"
_BY_READING = "it is about how interfaces are designed, which can be read and not asked"

OVERVIEW = "Specification Overview"
DETAILS = "Specification Details"
ENVIRON = "environ Variables"
STREAMS = "Input and Error Streams"
START = "The start_response() Callable"
LENGTH = "Handling the Content-Length Header"
STREAMING = "Buffering and Streaming"
WRITE = "The write() Callable"
UNICODE = "Unicode Issues"
ERRORS = "Error Handling"
CONTINUE = "HTTP 1.1 Expect/Continue"
HTTP = "Other HTTP Features"
THREADS = "Thread Support"
EXTENSIONS = "Server Extension APIs"
CONFIGURATION = "Application Configuration"
URL = "URL Reconstruction"
OLD = "Supporting Older (<2.2) Versions of Python"
FILES = "Optional Platform-Specific File Handling"

SENTENCES = (
    *_section(
        "Preface and Rationale",
        (NOBODY, MUST, "string-sections", "servers and applications follow the sections on strings, too"),
        (NOBODY, MUST, "easy-to-implement", "the interface itself is easy to implement"),
        (NOBODY, SHOULD, "easy-middleware", "and lets components stand between server and application"),
    ),
    *_section(
        OVERVIEW,
        (SERVER, MUST, "any-callable", "a callable is called, whatever kind it is of, and not looked into"),
        (SERVER, MUST, "native-strings", "native strings can be turned into bytes by Latin-1"),
        (APPLICATION, MUST, "callable-again", "an application can be called more than once"),
        (SERVER, STATED, "once-a-request", "the server calls the application once for each request"),
        (
            SERVER,
            SHOULD,
            "checked-after-set",
            "the example checks headers once they are set, so that an error is final",
            "what is seen of it is asked of the section on start_response",
        ),
        (SERVER, STATED, "start-needed", "a block without start_response before it is an error, in the example"),
        (MIDDLEWARE, SHOULD, "transparent", "a middleware needs no support by server or application"),
        (MIDDLEWARE, MUST, "both-sides", "a middleware follows the rules for both sides"),
        (MIDDLEWARE, MUST, "byte-safe", "the example's transformation is safe for bytes"),
        (MIDDLEWARE, SHOULD, "coding-checked", "and would look at the content coding"),
    ),
    *_section(
        DETAILS,
        (APPLICATION, MUST, "two-arguments", "an application takes two positional arguments"),
        (SERVER, MUST, "positional-call", "the application is called with positional arguments"),
        (SERVER, MUST, "builtin-dict", "environ is a built-in dict, and no subclass of it"),
        (SERVER, STATED, "environ-is-the-applications", "the application may change the environ in any way"),
        (SERVER, MUST, "required-variables", "environ has the variables that WSGI requires"),
        (APPLICATION, MUST, "positional-start", "start_response is called with positional arguments"),
        (SERVER, STATED, "start-arguments", "start_response takes two positional arguments, and a third optional one"),
        (SERVER, MUST, "returns-write", "start_response returns a write() that takes a bytestring"),
        (APPLICATION, SHOULD, "no-new-write", "new applications do without write()"),
        (APPLICATION, MUST, "iterable", "an application returns an iterable of bytestrings"),
        (APPLICATION, MUST, "iterable-always", "and does so in whatever way it is written"),
        (SERVER, MUST, "unbuffered", "each bytestring is transmitted before the next is asked for"),
        (APPLICATION, SHOULD, "own-buffering", "applications do their own buffering"),
        (SERVER, SHOULD, "binary", "bytestrings are binary, and no line end in them is altered"),
        (APPLICATION, MUST, "accurate-len", "where len() of the iterable works, it is right"),
        (SERVER, MUST, "close", "close() of the iterable is called in the end: done, failed or cut off"),
        (APPLICATION, SHOULD, "not-consumed", "an application does not count on all of its iterator being consumed"),
        (APPLICATION, MUST, "start-before-body", "start_response is called before the first block is yielded"),
        (SERVER, MUST, "deferred-start", "the server does not expect that before it iterates"),
        (SERVER, MUST, "no-other-attributes", "no other attributes of the iterable are used"),
    ),
    *_section(
        ENVIRON,
        (SERVER, MUST, "cgi-variables", "environ has CGI's variables, but for those that would be empty"),
        (SERVER, MUST, "method-required", "REQUEST_METHOD is never empty, so always there"),
        (SERVER, MUST, "server-required", "SERVER_NAME and SERVER_PORT are strings and never empty"),
        (SERVER, STATED, "protocol", "SERVER_PROTOCOL is the version in which the client asked"),
        (SERVER, SHOULD, "http-variables", "there is an HTTP_ variable if and only if there is such a field"),
        (SERVER, SHOULD, "more-cgi", "other variables of CGI are there as far as they apply"),
        (
            SERVER,
            SHOULD,
            "ssl-variables",
            "with TLS those of Apache's mod_ssl, too",
            "Tapster has no TLS, and no server is started with it",
        ),
        (SERVER, SHOULD, "documented", "the server documents what variables it provides"),
        (APPLICATION, SHOULD, "checks-variables", "an application checks for variables that it needs"),
        (SERVER, SHOULD, "missing-left-out", "variables without a value are left out"),
        (SERVER, MUST, "cgi-native", "a CGI variable that is there is a native string"),
        (SERVER, MUST, "cgi-str", "of the type str, and no other"),
        (SERVER, MUST, "wsgi-variables", "environ has WSGI's own variables"),
        (SERVER, SHOULD, "errors-text", "wsgi.errors is a stream of text, with \\n as its line end"),
        (APPLICATION, SHOULD, "errors-newline", "applications end lines with \\n"),
        (SERVER, SHOULD, "errors-unicode", "wsgi.errors takes any Unicode text without raising"),
        (SERVER, SHOULD, "errors-documented", "documents say where wsgi.errors goes"),
        (SERVER, SHOULD, "multithread", "wsgi.multithread is true where threads may call the application side by side"),
        (SERVER, SHOULD, "multiprocess", "wsgi.multiprocess is true where processes may call it side by side"),
        (SERVER, SHOULD, "run-once", "wsgi.run_once is true where the process is for one request"),
        (SERVER, SHOULD, "own-names", "a server's own variables are in lower case, with a prefix of its own"),
    ),
    *_section(
        STREAMS,
        (SERVER, MUST, "stream-methods", "the streams have the methods of the table"),
        (SERVER, STATED, "stream-semantics", "which do as Python's library documents them"),
        (SERVER, SHOULD, "end-of-input", "the end of the body is the end of the stream"),
        (APPLICATION, SHOULD, "not-past-length", "an application does not read past CONTENT_LENGTH"),
        (SERVER, SHOULD, "read-all", "read() without an argument returns the rest"),
        (SERVER, SHOULD, "exhausted-is-empty", "an empty or exhausted stream gives empty bytestrings"),
        (SERVER, SHOULD, "readline-size", "readline() takes a size"),
        (SERVER, STATED, "readlines-hint", "readlines() is called with a hint, or without"),
        (APPLICATION, MUST, "flushes", "an application that needs its messages out calls flush()"),
        (SERVER, MUST, "stream-methods-again", "every server supports all of these methods"),
        (APPLICATION, MUST, "no-other-methods", "an application uses no other methods"),
        (APPLICATION, MUST, "closes-no-stream", "and does not close the streams"),
    ),
    *_section(
        START,
        (APPLICATION, MUST, "start-positional", "the arguments are positional ones"),
        (SERVER, MUST, "start-returns-write", "start_response returns write()"),
        (APPLICATION, MUST, "status-clean", "a status has no control characters and no line end"),
        (APPLICATION, MUST, "headers-list", "the headers are a list"),
        (APPLICATION, MUST, "name-valid", "a header's name is one by HTTP's rules, without a colon"),
        (APPLICATION, MUST, "value-clean", "a header's value has no control characters"),
        (SERVER, MUST, "adds-required", "the server adds the headers that HTTP requires and the application left out"),
        (SERVER, STATED, "names-any-case", "header names of the application are known in any case"),
        (APPLICATION, MUST, "no-hop-by-hop", "applications send nothing that is hop-by-hop"),
        (SERVER, SHOULD, "hop-by-hop-fatal", "the server takes that for a fatal error, and raises"),
        (SERVER, SHOULD, "checked-at-start", "errors in the headers are found while start_response runs"),
        (SERVER, MUST, "start-sends-nothing", "start_response does not send the headers"),
        (
            SERVER,
            MUST,
            "head-with-body",
            "they leave with the first block that is not empty, with write(), or at the end",
        ),
        (APPLICATION, MUST, "exc-info-tuple", "exc_info is what sys.exc_info() returned"),
        (APPLICATION, SHOULD, "exc-info-in-handler", "it is given by error handlers only"),
        (SERVER, SHOULD, "exc-info-replaces", "before anything is sent, exc_info replaces status and headers"),
        (SERVER, MUST, "exc-info-raises", "afterwards start_response raises"),
        (SERVER, SHOULD, "exc-info-reraises", "and what it raises is that exception"),
        (APPLICATION, MUST, "lets-pass", "the application does not trap that"),
        (APPLICATION, SHOULD, "lets-pass-to-server", "but lets it pass to the server"),
        (APPLICATION, STATED, "twice-only-with-exc-info", "a second call needs exc_info"),
        (SERVER, STATED, "twice-fatal", "without it is a fatal error, even if the first call raised"),
        (SERVER, SHOULD, "exc-info-released", "start_response keeps no reference to exc_info"),
    ),
    *_section(
        LENGTH,
        (SERVER, SHOULD, "length-exceeded", "no more is sent than the declared length"),
        (SERVER, SHOULD, "length-stops", "and iteration stops there, or write() raises"),
        (SERVER, SHOULD, "length-missed", "where less comes, the connection is closed and the error reported"),
        (SERVER, STATED, "length-unknown", "without a declared length the end is shown in another way"),
        (
            SERVER,
            STATED,
            "length-of-one",
            "the length of a single block may be taken for the body's if write() was not used",
        ),
        (SERVER, MUST, "chunked", "chunked coding, where it is used, follows HTTP"),
        (APPLICATION, MUST, "no-transfer-coding", "applications apply no transfer coding"),
    ),
    *_section(
        STREAMING,
        (SERVER, MUST, "no-delay", "no block waits for the next one"),
        (SERVER, MUST, "keeps-transmitting", "what is left of a block is sent while the next is made"),
        (MIDDLEWARE, MUST, "middleware-waits-not", "a middleware does not wait for several values"),
        (MIDDLEWARE, MUST, "middleware-yields-empty", "if it needs more, it yields an empty bytestring"),
        (MIDDLEWARE, MUST, "middleware-yields-each", "it yields at least once for each value"),
        (MIDDLEWARE, MUST, "middleware-nothing-else", "an empty one where there is nothing else"),
        (MIDDLEWARE, MUST, "middleware-returns-soon", "it returns its iterable as soon as it has the application's"),
        (MIDDLEWARE, MUST, "middleware-no-write", "it does not write() what was yielded"),
        (MIDDLEWARE, MUST, "middleware-only-writes", "but only what the application wrote"),
    ),
    *_section(
        WRITE,
        (APPLICATION, SHOULD, "avoids-write", "new applications do not use write()"),
        (APPLICATION, SHOULD, "prefers-iterable", "output comes by the iterable"),
        (SERVER, MUST, "write-sends", "before write() returns, its bytes are sent or on their way"),
        (APPLICATION, MUST, "write-and-iterable", "an application that writes still returns an iterable"),
        (SERVER, MUST, "write-then-yield", "what that yields is sent as if nothing had been written"),
        (APPLICATION, MUST, "no-write-in-iterable", "an iterable does not call write()"),
        (SERVER, STATED, "written-first", "what was written comes before what is yielded"),
    ),
    *_section(
        UNICODE,
        (APPLICATION, MUST, "encodes-itself", "encoding and decoding are the application's"),
        (SERVER, MUST, "str-or-bytes", "all strings are of the type str or bytes"),
        (APPLICATION, MUST, "rfc-2616-strings", "status and headers follow HTTP's rules for characters"),
        (APPLICATION, MUST, "latin-1-or-mime", "they are Latin-1, or coded as in MIME"),
        (SERVER, STATED, "latin-1-out", "Latin-1 characters of a header are those bytes on the wire"),
        (APPLICATION, MUST, "latin-1-only", "native strings hold Latin-1 characters only"),
        (SERVER, STATED, "other-characters-fatal", "other characters from an application are a fatal error"),
        (SERVER, MUST, "latin-1-in", "the server gives the application no other characters"),
        (SERVER, MUST, "native-str", "native strings are of the type str"),
        (SERVER, MUST, "bytes-in", "what is read from wsgi.input is of the type bytes"),
        (APPLICATION, MUST, "bytes-out", "what is yielded and written is of the type bytes"),
    ),
    *_section(
        ERRORS,
        (APPLICATION, SHOULD, "traps-own", "applications trap their own errors, and show a message"),
        (APPLICATION, MUST, "traps-before-output", "which they can only before output was sent"),
        (APPLICATION, SHOULD, "traps-runtime-first", "the example would trap some errors apart"),
        (APPLICATION, SHOULD, "traps-no-reraised", "what start_response raises again is not trapped"),
        (
            SERVER,
            SHOULD,
            "traps-and-logs",
            "an exception that ends an application or its iterable is trapped and logged",
        ),
        (SERVER, STATED, "aborts", "and the response aborted"),
    ),
    *_section(
        CONTINUE,
        (SERVER, MUST, "expect-continue", "a server that speaks HTTP/1.1 supports Expect: 100-continue"),
        (SERVER, MUST, "continue-blocks", "where 100 is sent at the first read, that read waits for the client"),
        (SERVER, STATED, "no-continue-in-1.0", "none of it is for HTTP/1.0"),
    ),
    *_section(
        HTTP,
        (SERVER, SHOULD, "plays-dumb", "the application has control over its output"),
        (SERVER, SHOULD, "same-semantics", "what the server changes does not change the response's meaning"),
        (NOBODY, SHOULD, "conservative", "developers of servers are conservative"),
        (NOBODY, SHOULD, "gateway", "a server takes itself for a gateway"),
        (APPLICATION, MUST, "generates-no-hop-by-hop", "applications make no hop-by-hop headers, and rely on none"),
        (SERVER, MUST, "inbound-hop-by-hop", "the server deals with those that come in, as by decoding chunked bodies"),
        (APPLICATION, SHOULD, "own-validation", "an application validates caches itself"),
        (APPLICATION, SHOULD, "own-coding", "it applies content codings itself"),
        (APPLICATION, MUST, "applies-no-coding", "and no transfer coding"),
        (APPLICATION, SHOULD, "own-ranges", "it answers requests for ranges itself"),
    ),
    *_section(
        THREADS,
        (SERVER, SHOULD, "one-thread", "a server that has threads can be told to use one"),
    ),
    *_section(
        EXTENSIONS,
        (NOBODY, SHOULD, "expects-middleware", "developers expect middleware between server and application"),
        (
            SERVER,
            MUST,
            "extension-by-part",
            "an extension is called with that part of WSGI that it replaces",
            _BY_READING,
        ),
        (SERVER, MUST, "extension-environ", "one about headers takes the environ", _BY_READING),
        (SERVER, MUST, "extension-refuses", "and refuses where it can't be sure to agree with it", _BY_READING),
        (SERVER, SHOULD, "extension-start", "one that writes takes start_response", _BY_READING),
        (SERVER, MUST, "extension-refuses-other", "and refuses another one than the server's", _BY_READING),
        (MIDDLEWARE, SHOULD, "functions-on-environ", "a middleware's additions are functions of the environ"),
        (NOBODY, STATED, "rules-followed", "it is important that all follow this"),
    ),
    *_section(
        CONFIGURATION,
        (APPLICATION, SHOULD, "framework-documents", "frameworks document how an application is made"),
        (NOBODY, MUST, "connects", "the user connects the two"),
        (SERVER, SHOULD, "pairs", "a deployer can put names and values into the environ"),
        (APPLICATION, SHOULD, "few-pairs", "applications need few of them"),
        (APPLICATION, SHOULD, "caches-pairs", "and cache what they read from them"),
    ),
    *_section(
        URL,
        (SERVER, STATED, "url", "the URL can be put together from the environ"),
    ),
    *_section(
        OLD,
        (SERVER, MUST, "for-loop", "servers iterate by for loops only", _OBSOLETE),
        (APPLICATION, SHOULD, "no-file-returned", "applications return no file object"),
        (APPLICATION, MUST, "old-protocol", "iterables have the old protocol"),
        (MIDDLEWARE, MUST, "old-middleware", "middleware follows both"),
        (NOBODY, MUST, "old-features", "all use only what the version has"),
    ),
    *_section(
        FILES,
        (SERVER, STATED, "by-index", "an iterable may be one by its index alone, as the PEP's file wrapper is"),
        (SERVER, MUST, "wrapper-arguments", "wsgi.file_wrapper takes a file, and perhaps a size"),
        (SERVER, MUST, "wrapper-iterable", "it returns an iterable"),
        (SERVER, MUST, "wrapper-sends-nothing", "and sends nothing before that is returned by the application"),
        (APPLICATION, MUST, "file-like", "what is wrapped has read() with an optional size"),
        (SERVER, MUST, "wrapper-close", "if it has close(), the wrapper has a close() that calls it"),
        (
            SERVER,
            MUST,
            "wrapper-after-return",
            "files are handled when the application has returned, if the wrapper was",
        ),
        (SERVER, SHOULD, "wrapper-semantics", "it is as if the file's blocks had been iterated"),
        (SERVER, SHOULD, "wrapper-position", "from where the file stands to its end, or the declared length"),
        (SERVER, MUST, "wrapper-any-file", "what is no real file is wrapped, too"),
    ),
    *_section(
        "Questions and Answers",
        (APPLICATION, SHOULD, "run-again", "an application does not take wsgi.run_once for a promise"),
    ),
)

#: What is asked beyond the PEP's sentences, since applications' users run into it: in no server's totals.
PROMISES = _section(
    "Beyond the PEP's words",
    (SERVER, BEYOND, "misuse-told", "an application that breaks a rule gets an error, and the client no whole reply"),
    (SERVER, BEYOND, "bodiless", "where HTTP knows no body none is sent, whatever the application returns"),
)

BY_NAME = {sentence.name: sentence for sentence in SENTENCES + PROMISES}

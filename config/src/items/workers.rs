//! The processes that serve, and the deadlines that the arbiter holds them to.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! workers {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Workers" {
        workers: Workers = Workers::fixed(1); WorkerCount;
        {
            brief: "How many worker processes serve, or auto: as many as there are CPUs for them. A range follows the load.",
            long: "`auto` counts the CPUs that this process may run on, and heeds a CPU quota of its control group \
                   (container), rounded up. With `{ min = 2, max = 8 }` (on the command line and in the environment: `2-8`) \
                   the server starts with the least, and the `scale_` settings say how the number follows the load. The most \
                   may be `\"auto\"` too, and is then never below the least.",
            short: Some('w'),
            value: "NUMBER",
            platform: Some(Platform {
                variable: "WEB_CONCURRENCY",
                reading: |number| Ok(number.to_owned()),
                means: "the number of workers",
            }),
        }
        threads: u32 = 1; Whole { min: 1, max: 1024 };
        {
            brief: "How many requests a worker may have in the application at once, each in a thread of its own.",
            long: "The threads of a worker share one interpreter, which runs one of them at a time: they are good for \
                   applications that wait (for a database, say), while more `workers` are good for those that compute. \
                   The main thread is one of them. The application learns of it by `wsgi.multithread`, and must be safe \
                   for threads where there are several.",
            value: "NUMBER",
        }
        preload: bool = false; Switch;
        {
            brief: "Import the application once, before the workers are forked, so that they share its memory.",
            long: "A reload still brings new code: it imports the application anew. Threads that the application starts \
                   while it is imported are not in the workers, and connections that it opens then are shared by all of \
                   them: have both made by a function that `tapster.post_fork` registers.",
        }
        warmup: Vec<Warmup> = Vec::new(); WarmupList;
        {
            brief: "Paths to GET from the application before a worker takes traffic; a 5xx or an exception fails its boot.",
            long: "So the first client does not pay for what an application does at its first request, and code that \
                   imports but can't answer does not get through a reload. With `preload` the requests run once, in the \
                   process that the workers are forked from, and connections that they leave open (to a database, say) are \
                   then shared by all workers: have these closed by a function that `tapster.post_fork` registers. Without \
                   `preload` they run in each worker. A path is asked for with `Host: localhost`; where the application \
                   wants another name (Django's `ALLOWED_HOSTS`), write a URL: `http://www.example.com/health`. No client \
                   is told anything, and `environ` says `tapster.warmup`. A redirect or a 4xx is good enough, and is \
                   logged. All of it must be done within `boot_timeout`. With `reload` there is none.",
            value: "PATH[,PATH]",
            example: Some(r#"["/", "http://www.example.com/health"]"#),
        }
        timeout: Duration = Duration::from_secs(30); Time { min: 0, max: DAY };
        {
            brief: "How long a request may be in the application; then it is interrupted. 0 is no limit.",
            long: "Of a reply that is yielded block by block, each block may take that long. Afterwards the error log gets \
                   the request line, how long it has taken, and the Python stack of its thread, at most every ten seconds \
                   with those of all other threads. The client gets a 504, or, where part of the reply was sent, its \
                   connection is cut off; a reply that is whole already is left alone. `tapster.RequestTimeout` is \
                   raised in the request's thread, so that the thread and the process survive. Python raises it between \
                   two of its own instructions: a call that waits (for a database, a socket, a lock) gets it when it \
                   returns.",
            short: Some('t'),
            value: "DURATION",
        }
        timeout_grace: Duration = Duration::from_secs(5); Time { min: 0, max: DAY };
        {
            brief: "How long a request that `timeout` has interrupted may take to end; then its worker is replaced. 0 is at once.",
            long: "Its thread may be in a call that waits, or computes in C code: Python can't interrupt either. Such \
                   calls need limits of their own, below `timeout`. Where the worker has several `threads`, it goes on \
                   until the replacement is ready, and then has `graceful_timeout` for its other requests. Where it has \
                   one, or the whole process has come to a halt, it is killed at once. With 0 every request \
                   that `timeout` interrupts costs its worker, even if the exception would have ended it.",
            value: "DURATION",
        }
        queue_timeout: Duration = Duration::from_secs(30); Time { min: 0, max: DAY };
        {
            brief: "How long a request may wait for a free thread; then 503 is answered. 0 is no limit.",
            long: "The application is not called for such a request, whose client will have given up. It counts from when \
                   the request is complete. While no thread is free new connections wait in the system's queue: they get \
                   their 503 when a thread is free, and not before. How long they have waited there is known of TCP but \
                   not of Unix sockets, where it counts from when the worker accepts.",
            value: "DURATION",
        }
        boot_timeout: Duration = Duration::from_secs(120); Time { min: 0, max: DAY };
        {
            brief: "A worker that is not ready by then (a hung import, say) is killed; 0 is no limit.",
            value: "DURATION",
        }
        graceful_timeout: Duration = Duration::from_secs(30); Time { min: 0, max: DAY };
        {
            brief: "How long a retiring worker may take to finish its running requests.",
            long: "On stop and reload. What still runs then is cut off. A worker has two seconds more for its exit \
                   functions and Python's own end, and is killed then, with the reason in the log.",
            value: "DURATION",
        }
        drain_delay: Duration = Duration::ZERO; Time { min: 0, max: DAY };
        {
            brief: "How long the server goes on serving after TERM, before it stops gracefully. 0 is not at all.",
            long: "For balancers that learn of a stop later than the server does, as in Kubernetes, where TERM and the \
                   removal from a service's endpoints race each other. Until it is over everything is answered, with \
                   `Connection: close`, so that clients with open connections come back elsewhere; workers that die are \
                   replaced, and reloads and resizing are refused. A second TERM, INT or QUIT ends the wait. What stops \
                   the server must have patience for this and `graceful_timeout` together \
                   (`terminationGracePeriodSeconds`); systemd is asked for it, where `Type=notify` is set.",
            value: "DURATION",
        }
        reload_batch: u32 = 1; Whole { min: 1, max: 1024 };
        {
            brief: "How many new workers a reload starts at a time, each in the place of an old one.",
            long: "A new worker is started, and when it is ready an old one retires; then the next is started. More at a \
                   time make the reload of many workers shorter, and take more CPU and memory while it lasts. The first \
                   worker of the new code always goes ahead alone.",
            value: "NUMBER",
        }
        keep_alive: Duration = Duration::from_secs(2); Time { min: 0, max: HOUR };
        {
            brief: "How long an idle connection is kept for its next request; 0 closes it after each.",
            long: "Behind a proxy that keeps connections to Tapster, set it longer than the proxy does.",
            value: "DURATION",
        }
    } } };
}

-- Where the log was written. Transaction ids order it, and they mean something in their own cluster alone: a log
-- restored elsewhere begins a new epoch there (`flowbot store adopt`), and is refused until it does.
create table store_meta (
    one               boolean     primary key default true check (one),
    -- both stored at the first start
    system_identifier text,
    database_oid      oid,
    -- what new events are written with; everything of earlier epochs has finished
    log_epoch         smallint    not null default 1,
    adopted_at        timestamptz
);
insert into store_meta default values;

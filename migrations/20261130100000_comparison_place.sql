-- How far a build has been compared with the live generation, and what was found so far: whoever goes on begins there.
alter table projections add column compared jsonb;

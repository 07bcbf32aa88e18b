-- What those left behind who were deleted before their leaving took it along: providers nobody may sign in with, and
-- conversations they still hold, which a job releases in the name of the account.
delete from social_identities s using users u where u.id = s.user_id and u.deleted_at is not null;
insert into jobs (tenant_id, key, work, run_at)
select account_id, 'claims:' || id || ':now',
       json_build_object('kind', 'release_claims', 'of', id, 'removedBy', account_id, 'correlation', gen_random_uuid()), now()
  from users where account_id is not null and deleted_at is not null;

-- grain: one row: from which bank day on this run's transactions differ from those of the last one
{% if builds_on_the_last_run() -%}
with days_before as (select * from {{ before('days') }}),

days_after as ({{ days_of_changed_parts(ref('typed_transactions')) }}),

repeated_before as (select transaction_key, transaction_date, copy_number from {{ before('repeated_transactions') }}),

repeated_after as (select transaction_key, transaction_date, copy_number from {{ ref('repeated_transactions') }}),

publication as (select * from {{ ref('dim_publication') }}),

changed_days as (
    select coalesce(days_after.transaction_date, days_before.transaction_date) as changed_day
    from days_before
    full outer join days_after on days_before.transaction_date = days_after.transaction_date
    where days_before.transactions is null
        or days_after.transactions is null
        or days_before.transactions <> days_after.transactions
        or days_before.fingerprint <> days_after.fingerprint
),

-- a copy on a day that is new may take the place of one on a day long past
changed_copies as (
    (select * from repeated_before except distinct select * from repeated_after)
    union all
    (select * from repeated_after except distinct select * from repeated_before)
),

changed as (
    select changed_day from changed_days
    union all
    select transaction_date from changed_copies
),

candidates as (
    select changed_day
    from changed
    where changed_day >= cast('{{ var("earliest_bank_day") }}' as date)   -- what is dated before it is in no figure
    union all
    select {{ add_days("cast('" ~ var('previous_as_of') ~ "' as date)", 1) }}
    union all
    select {{ add_days('as_of', 1) }} from publication
),

final as (
    select
        min(changed_day) as changed_from,
        min(changed_day) > cast('{{ var("previous_as_of") }}' as date) as only_appends,
    from candidates
)
{%- else -%}
with final as (select {{ neopulse.beginning() }} as changed_from, false as only_appends)
{%- endif %}

select * from final

-- rows that came in = rows that count + rows that were rejected with a reason: transactions, users and devices.
-- Of notifications no figure is made and only those are kept that cannot be used: there is nothing to add up.
with rejected as (
    select source_table, count(*) as rows_rejected
    from {{ ref('rejected_rows') }}
    where disposition = 'rejected'
    group by source_table
),

counted as (
    select
        'transactions' as source_table,
        (select coalesce(sum(rows_landed), 0) from {{ source('bank', 'parts') }}) as rows_in,
        (select max(transactions) from {{ ref('dim_publication') }}) as rows_used
    union all
    select
        'users',
        (select count(*) from {{ source('bank', 'users') }}),
        (select count(*) from {{ ref('dim_customers') }} where has_user_row)
    union all
    select
        'devices',
        (select count(*) from {{ source('bank', 'devices') }}),
        (select count(*) from {{ ref('customer_devices') }} where rejection_reason is null)
)

select counted.*, rejected.rows_rejected
from counted
left join rejected on counted.source_table = rejected.source_table
where counted.rows_in <> counted.rows_used + coalesce(rejected.rows_rejected, 0)

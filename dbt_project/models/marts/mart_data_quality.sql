-- grain: one row per raw table, reason and what was done
with rejected_rows as (select * from {{ ref('rejected_rows') }}),

final as (
    select source_table, reason, disposition, count(*) as rows_affected
    from rejected_rows
    group by source_table, reason, disposition
)

select * from final

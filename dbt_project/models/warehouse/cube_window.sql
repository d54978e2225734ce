-- grain: one row: from which bank day on what is counted by segment has to be counted again
with change_window as (select * from {{ ref('change_window') }}),

-- the bank keeps no history of plans and countries: who moves takes the past along
moved as (select count(*) as customers from {{ ref('changed_customers') }} where has_moved),

final as (
    select
        case when moved.customers > 0 then {{ neopulse.beginning() }} else change_window.changed_from end as changed_from,
    from change_window
    cross join moved
)

select * from final

-- the pauses that ended, and the days they lasted: of the customers one by one, in the cube of gaps, and of each dimension in the gaps by it
with pauses as (
    select count(*) as pauses, coalesce(sum(gap_days), 0) as days
    from {{ ref('fct_breaks') }}
    where returned_on is not null
),

cubes as (
    {% for dimension in ['all'] + dimensions() -%}
    select '{{ dimension }}' as segment union all
    {% endfor -%}
    select 'cube'
),

counted as (
    select 'cube' as segment, customers, gap_days
    from {{ ref('mart_activity_gaps') }}
    where returned_on is not null
    union all
    select segment, customers, gap_days
    from {{ ref('mart_activity_gaps_by_dimension') }}
    where returned_on is not null
),

summed as (
    select
        cubes.segment,
        coalesce(sum(counted.customers), 0) as pauses,
        coalesce(sum(counted.customers * counted.gap_days), 0) as days,
    from cubes
    left join counted on cubes.segment = counted.segment
    group by cubes.segment
)

select summed.segment, pauses.pauses, summed.pauses as in_gaps, pauses.days, summed.days as days_in_gaps
from summed
cross join pauses
where summed.pauses <> pauses.pauses or summed.days <> pauses.days

-- grain: one row per day from the first account opening or usable transaction to the end of as_of's month
with customers as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

bounds as (
    select
        least(min(customers.opening_date), min(publication.first_day)) as first_date,
        {{ month_end('max(publication.as_of)') }} as last_date,
    from customers
    cross join publication
),

days as (
    select cast(date_day as date) as date_day
    from bounds
    cross join {{ each_day('first_date', 'last_date', 'date_day') }}
),

final as (
    select
        date_day,
        {{ week_start('date_day') }} as week_start,
        {{ month_start('date_day') }} as month_start,
        {{ month_end('date_day') }} as month_end,
        date_day > as_of as is_after_as_of,
    from days
    cross join publication
)

select * from final
